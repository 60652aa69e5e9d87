// Shared by the programs of the benchmark: a clock, exit at the first failure, files and percentiles.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

// Ends the program, since the figures would be meaningless after a failure.
static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline int check(int result, const char *what) {
    if (result < 0) die(what);
    return result;
}

// Parses a whole number from 1 to 1,000,000.
static inline int count_of(const char *text) {
    char *end;
    long count = strtol(text, &end, 10);
    if (*end != '\0' || count < 1 || count > 1000000) {
        fprintf(stderr, "'%s' is not a number from 1 to 1000000\n", text);
        exit(2);
    }
    return (int)count;
}

static inline double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline int compare_doubles(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

// The nearest-rank percentile of sorted values: of 50 values, the 50th percentile is the 25th and the 99th the 50th.
static inline double percentile(const double *sorted, int count, int percent) {
    return sorted[((long)count * percent + 99) / 100 - 1];
}

// Reads a whole file and appends a NUL.
static inline char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "r");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) < 0) die(path);
    *bytes = (size_t)status.st_size;
    char *text = calloc(1, *bytes + 1);
    if (text == NULL || fread(text, 1, *bytes, file) != *bytes) die(path);
    fclose(file);
    return text;
}
