// The contract with users, openapi/tapster.yaml, embedded in the binary.
#ifndef COPENAPI_H
#define COPENAPI_H

#include <stddef.h>

// OpenAPI 3.1 in YAML, without a terminating NUL.
extern const unsigned char *const openapi_yaml;
extern const size_t openapi_yaml_bytes;

#endif
