// floor_http SOCKET BODYFILE HEADERFILE: answers every request with the same bytes, until SIGTERM.
//
// The floor for Tapster's GET: the same library with the same settings, and a trivial handler. HEADERFILE has lines of
// "Name: value".
#include "mhd.h"

enum { headers_max = 32, header_bytes_max = 1024 };

static struct { char text[header_bytes_max]; char *value; } headers[headers_max];
static int header_count;
static char *body;
static size_t body_bytes;

// The library calls twice: after the headers of the request, and at its end, where Tapster answers too.
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *target,
                              const char *method, const char *version, const char *data, size_t *size, void **slot) {
    (void)context, (void)target, (void)method, (void)version, (void)data, (void)size;
    if (*slot == NULL) {
        *slot = headers;
        return MHD_YES;
    }
    // Creates a new response each time, as the daemon must, since X-Request-Id differs.
    struct MHD_Response *response = MHD_create_response_from_buffer(body_bytes, body, MHD_RESPMEM_PERSISTENT);
    for (int i = 0; i < header_count; i++) MHD_add_response_header(response, headers[i].text, headers[i].value);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void read_headers(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) die(path);
    while (header_count < headers_max && fgets(headers[header_count].text, header_bytes_max, file) != NULL) {
        char *text = headers[header_count].text;
        text[strcspn(text, "\r\n")] = '\0';
        char *colon = strstr(text, ": ");
        if (colon == NULL) continue;
        *colon = '\0';
        headers[header_count++].value = colon + 2;
    }
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: floor_http SOCKET BODYFILE HEADERFILE\n");
        return 2;
    }
    body = read_file(argv[2], &body_bytes);
    read_headers(argv[3]);
    serve(argv[1], answer);
}
