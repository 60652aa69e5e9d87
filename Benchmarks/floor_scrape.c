// floor_scrape SOCKET FILE: answers every request with the lines of FILE, a scrape of Tapster, with the current values
// of devices' counters, until SIGTERM.
//
// The floor for a scrape: one dump of the counters, printing a line for each number, and sending them with the same
// library.
#include "mhd.h"
#include "rtnetlink.h"

#include <linux/if_link.h>
#include <net/if.h>

enum { interfaces_max = 65536, line_bytes_max = 512 };

static const char *const kinds[] = {"packets", "bytes", "errors", "dropped"};

// A line's text before its value, and its value; a comment has none.
struct line {
    const char *text;
    int length;
    enum { comment, counter, whole, other } is;
    int interface, place;
    unsigned long long count;
    double number;
};

static struct line *lines;
static int line_count;
static char *output;
static unsigned long long counters[interfaces_max][8];
static char buffer[65536];
static int netlink;

static void dump(void) {
    struct { struct nlmsghdr header; struct if_stats_msg statistics; } request = {
        .header = {sizeof request, RTM_GETSTATS, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
        .statistics.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64),
    };
    check(send(netlink, &request, sizeof request, 0), "RTM_GETSTATS");
    while (1) {
        unsigned left = check(recv(netlink, buffer, sizeof buffer, MSG_TRUNC), "answer");
        struct nlmsghdr *message = (struct nlmsghdr *)buffer;
        for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE) return;
            if (message->nlmsg_type != RTM_NEWSTATS || message->nlmsg_flags & NLM_F_DUMP_INTR) die("dump");
            struct if_stats_msg *statistics = NLMSG_DATA(message);
            struct rtattr *attribute = (struct rtattr *)(statistics + 1);
            if (statistics->ifindex >= interfaces_max || attribute->rta_type != IFLA_STATS_LINK_64) die("dump");
            memcpy(counters[statistics->ifindex], RTA_DATA(attribute), sizeof counters[0]);
        }
    }
}

static size_t print(void) {
    char *end = output;
    for (struct line *line = lines; line < lines + line_count; line++) {
        if (line->is == comment) end += sprintf(end, "%.*s\n", line->length, line->text);
        else if (line->is == other) end += sprintf(end, "%.*s %.17g\n", line->length, line->text, line->number);
        else if (line->is == whole) end += sprintf(end, "%.*s %llu\n", line->length, line->text, line->count);
        else
            end += sprintf(end, "%.*s %llu\n", line->length, line->text, counters[line->interface][line->place]);
    }
    return end - output;
}

// The counter's position in struct rtnl_link_stats64; −1 if the line is not a counter of a device.
static int place_of(const char *text, char *device) {
    char side[16], kind[16];
    if (sscanf(text, "tapster_device_%15[a-z]_%15[a-z]_total{device=\"%15[^\"]", side, kind, device) != 3) return -1;
    for (int i = 0; i < 4; i++)
        if (strcmp(kind, kinds[i]) == 0) return 2 * i + (side[0] == 't');
    return -1;
}

static void read_lines(const char *path) {
    size_t bytes;
    char *text = read_file(path, &bytes);
    for (const char *at = text; *at; at++) line_count += *at == '\n';
    lines = calloc(line_count, sizeof *lines);
    output = malloc(bytes + (size_t)line_count * 24);
    struct line *line = lines;
    for (char *at = strtok(text, "\n"); at != NULL; at = strtok(NULL, "\n"), line++) {
        char device[IFNAMSIZ];
        char *value = strrchr(at, ' '), *end;
        line->text = at;
        line->length = at[0] == '#' ? (int)strlen(at) : (int)(value - at);
        if (at[0] == '#') continue;
        line->place = place_of(at, device);
        line->count = strtoull(value, &end, 10);
        line->number = strtod(value, NULL);
        line->is = line->place >= 0 ? counter : *end == '\0' ? whole : other;
        if (line->is == counter && (line->interface = if_nametoindex(device)) == 0) die(device);
    }
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *target,
                              const char *method, const char *version, const char *data, size_t *size, void **slot) {
    (void)context, (void)target, (void)method, (void)version, (void)data, (void)size;
    if (*slot == NULL) {
        *slot = lines;
        return MHD_YES;
    }
    dump();
    // There is one client, which sends one request at a time, so the output is not overwritten while it is sent.
    struct MHD_Response *response = MHD_create_response_from_buffer(print(), output, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor_scrape SOCKET FILE\n");
        return 2;
    }
    read_lines(argv[2]);
    netlink = open_rtnetlink();
    serve(argv[1], answer);
}
