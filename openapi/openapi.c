#include "COpenAPI.h"

// Embedded by C, since the Swift compiler takes a minute and 1 GB for an array literal of this size.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char bytes[] = {
#embed "tapster.yaml"
};
const unsigned char *const openapi_yaml = bytes;
const size_t openapi_yaml_bytes = sizeof bytes;
