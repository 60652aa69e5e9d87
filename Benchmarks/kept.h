// The daemon under `tapster keep`.
#pragma once

#include "common.h"

#include <sys/types.h>

// Returns the id of the process that `keep` runs now, or 0 if there is none.
static inline pid_t kept_process(int keep) {
    char path[64];
    int process = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", keep, keep);
    FILE *file = fopen(path, "r");
    if (file == NULL) die("keep");
    if (fscanf(file, "%d", &process) != 1) process = 0;
    fclose(file);
    return process;
}
