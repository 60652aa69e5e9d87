"""Forwards TCP connections to a Unix socket, since Schemathesis supports only TCP.

    relay.py PORT SOCKET
"""

import asyncio
import sys

PART_BYTES_MAX = 65_536


async def copy(reader, writer):
    try:
        while part := await reader.read(PART_BYTES_MAX):
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(port, socket):
    async def relay(reader, writer):
        try:
            there, back = await asyncio.open_unix_connection(socket)
        except OSError:
            return writer.close()
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
