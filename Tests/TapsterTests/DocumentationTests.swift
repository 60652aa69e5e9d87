import Foundation
import TestSupport
import Testing

/// The commands of README and docs run as they stand there.
///
/// A page's `sh` blocks run in order, by one bash(1), in network, mount and process namespaces of their own: `/run` is
/// empty, changes of `/etc` and `/var/lib` are lost at the end, the working directory has a copy of deploy/, `tapster`
/// is the binary of this build, and a daemon serves with the default paths, and at var/api.sock as `make run` does. A
/// block that cannot run there says why: `sh skip=it changes the host's systemd`.
@Suite(.privileged) struct DocumentationTests {
    private struct Block {
        let line: Int
        let language: String
        /// Why it is not run.
        let skip: String?
        let text: String
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// README, CONTRIBUTING and all pages of docs/.
    static let pages: [String] = {
        let docs = FileManager.default.enumerator(atPath: root.appending(path: "docs").path) ?? .init()
        let pages = docs.compactMap { $0 as? String }.filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }
        return ["README.md", "CONTRIBUTING.md"] + pages.sorted()
    }()

    private static func blocks(_ page: String) throws -> [Block] {
        let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
        var blocks: [Block] = []
        var open: (line: Int, info: String, lines: [Substring])?
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard line.drop(while: { $0 == " " }).hasPrefix("```") else {
                open?.lines.append(line)
                continue
            }
            guard let block = open else {
                open = (number + 1, String(line.drop { $0 == " " || $0 == "`" }), [])
                continue
            }
            let words = block.info.split(separator: " ", maxSplits: 1)
            let skip = words.count > 1 && words[1].hasPrefix("skip=") ? String(words[1].dropFirst(5)) : nil
            blocks.append(
                Block(
                    line: block.line, language: words.first.map { String($0) } ?? "", skip: skip,
                    text: block.lines.joined(separator: "\n")))
            open = nil
        }
        #expect(open == nil, "\(page): a block does not end")
        return blocks
    }

    /// A block without a language is neither run nor coloured.
    @Test(arguments: pages) func eachBlockSaysWhatItIs(page: String) throws {
        for block in try Self.blocks(page) {
            #expect(!block.language.isEmpty, "\(page):\(block.line)")
            #expect(block.skip.map { $0.count > 5 } ?? true, "\(page):\(block.line): skip= needs a reason")
        }
    }

    @Test(arguments: pages) func itsCommandsRun(page: String) async throws {
        let blocks = try Self.blocks(page).filter { ["sh", "bash"].contains($0.language) && $0.skip == nil }
        guard !blocks.isEmpty else { return }
        try await inNamespace {
            try withTemporaryDirectory { directory in
                let script = blocks.map { "# line \($0.line) of \(page)\n\($0.text)\n" }.joined()
                try ("set -euxo pipefail\n" + script).write(
                    toFile: directory + "/page", atomically: true, encoding: .utf8)
                try Self.sandbox.write(toFile: directory + "/sandbox", atomically: true, encoding: .utf8)
                let log = directory + "/log"
                let status = try ChildProcess(
                    "unshare",
                    [
                        "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", directory + "/sandbox",
                        directory, Self.root.path, Daemon.binary,
                    ], output: log
                ).wait()
                let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                #expect(status == 0, "\(text.suffix(3_000))")
            }
        }
    }

    /// Makes the sandbox, and runs the page in it: sandbox DIRECTORY ROOT BINARY.
    private static let sandbox = #"""
        set -euo pipefail
        directory=$1 root=$2 binary=$3
        mkdir "$directory"/{bin,work}
        ln -s "$binary" "$directory/bin/tapster"
        cp -r "$root"/{deploy,openapi,README.md} "$directory/work/"
        mount -t tmpfs tmpfs /run
        mkdir "$directory/upper"
        mount -t tmpfs tmpfs "$directory/upper"
        for path in /etc /var/lib; do
            mkdir -p "$directory/upper"{,/work}"$path"
            mount -t overlay overlay \
                -o "lowerdir=$path,upperdir=$directory/upper$path,workdir=$directory/upper/work$path" "$path"
        done
        mkdir -p /run/tapster /run/netns /etc/tapster /var/lib/tapster
        export PATH=$directory/bin:$PATH HOME=$directory/work
        cd "$directory/work"
        mkdir var
        ln -s /run/tapster/api.sock var/api.sock
        ip link set lo up
        tapster serve --socket-group 0 &
        for _ in {1..600}; do
            ! curl -s --fail --unix-socket /run/tapster/api.sock http://tapster/readyz >/dev/null || break
            sleep 0.1
        done
        # One that waits forever is ended with its last command in the log.
        timeout 300 bash "$directory/page"
        """#
}
