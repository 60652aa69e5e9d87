// floor_commit DATABASE COUNT: commits COUNT rows, each in a durable transaction with Tapster's settings (WAL,
// synchronous=FULL), and prints the seconds in total, and the 50th and the 99th percentile of the seconds per commit.
#include "common.h"

#include <sqlite3.h>

// The size of a device's document.
static const char *spec =
    "{\"queues\":4,\"link\":{\"mtu\":1500,\"up\":true,\"txQueueLength\":1000,\"carrier\":\"automatic\"}}";

static void run(sqlite3 *database, const char *sql) {
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(database));
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor_commit DATABASE COUNT\n");
        return 2;
    }
    int count = count_of(argv[2]);
    sqlite3 *database;
    if (sqlite3_open(argv[1], &database) != SQLITE_OK) die(argv[1]);
    run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    run(database, "CREATE TABLE device (name TEXT PRIMARY KEY, spec TEXT NOT NULL) STRICT, WITHOUT ROWID");
    sqlite3_stmt *insert;
    if (sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO device VALUES (?, ?)", -1, &insert, NULL) != SQLITE_OK)
        die("prepare");
    double *times = calloc((size_t)count, sizeof *times), start = seconds();
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i % 32);
        double began = seconds();
        run(database, "BEGIN IMMEDIATE");
        sqlite3_bind_text(insert, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, spec, -1, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) die("step");
        sqlite3_reset(insert);
        run(database, "COMMIT");
        times[i] = seconds() - began;
    }
    double all = seconds() - start;
    qsort(times, (size_t)count, sizeof *times, compare_doubles);
    printf("%.6f %.6f %.6f\n", all, percentile(times, count, 50), percentile(times, count, 99));
    sqlite3_finalize(insert);
    sqlite3_close(database);
}
