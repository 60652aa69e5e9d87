// libmicrohttpd, and functions for what Swift cannot import, such as the variadic MHD_start_daemon.
#pragma once
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

struct tapster_mhd_settings {
    // -1 for none: connections are added with MHD_add_connection.
    int listen_socket;
    unsigned threads;
    unsigned connections_max;
    size_t connection_memory_bytes_max;
    // Whether connections may be upgraded to another protocol; only those of a Unix socket may.
    int allows_upgrade;
    // PEM. Without a key there is no TLS; the authorities are optional.
    const char *certificates;
    const char *key;
    const char *client_authorities;
    const char *tls_priorities;
    MHD_AccessHandlerCallback handler;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    // Called with the undecoded target, before the library splits it at its query; returns NULL.
    void *(*target)(void *context, const char *target, struct MHD_Connection *connection);
    MHD_LogCallback log;
    void *context;
};

// Leaves a URL undecoded: a decoded %2F could not be distinguished from a separator.
static size_t tapster_mhd_keep(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

// Asks the library loaded at run time, since Debian's versions have one soname. From 1.0 on it can refuse requests that
// two parsers could read differently (MHD_OPTION_CLIENT_DISCIPLINE_LVL); earlier versions accept them.
// (MHD_get_version_bin is not in 0.9.75.)
static inline int tapster_mhd_is_strict(void) { return strtol(MHD_get_version(), NULL, 10) >= 1; }

// The option's number in the headers of 1.0; those of 0.9.75 do not define it.
enum { TAPSTER_MHD_OPTION_CLIENT_DISCIPLINE_LVL = 38 };

static inline struct MHD_Daemon *tapster_mhd_start(const struct tapster_mhd_settings *settings) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem listening[3] = {
        {MHD_OPTION_LISTEN_SOCKET, settings->listen_socket, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)settings->threads, NULL},
        {MHD_OPTION_END, 0, NULL}};
    // Without a listening socket the library cannot have a thread pool.
    if (settings->listen_socket < 0) {
        flags |= MHD_USE_NO_LISTEN_SOCKET;
        listening[0] = listening[2];
    }
    // 1: as strict as RFC 9112 allows. 0.9.75 is set to be lenient: if strict, it closes connections without a
    // response.
    struct MHD_OptionItem strictness[2] = {
        {tapster_mhd_is_strict() ? (enum MHD_OPTION)TAPSTER_MHD_OPTION_CLIENT_DISCIPLINE_LVL
                                 : MHD_OPTION_STRICT_FOR_CLIENT,
         tapster_mhd_is_strict() ? 1 : 0, NULL},
        {MHD_OPTION_END, 0, NULL}};
    if (settings->log != NULL) flags |= MHD_USE_ERROR_LOG;
    if (settings->allows_upgrade) flags |= MHD_ALLOW_UPGRADE;
    struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};
    if (settings->key != NULL) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)settings->certificates};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)settings->key};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)settings->tls_priorities};
        tls[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
        if (settings->client_authorities != NULL) {
            tls[3] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)settings->client_authorities};
            tls[4] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
        }
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, settings->handler, settings->context,
        MHD_OPTION_EXTERNAL_LOGGER, settings->log, settings->context,
        MHD_OPTION_ARRAY, tls,
        MHD_OPTION_URI_LOG_CALLBACK, settings->target, settings->context,
        MHD_OPTION_ARRAY, listening,
        MHD_OPTION_CONNECTION_LIMIT, settings->connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, settings->connection_memory_bytes_max,
        MHD_OPTION_ARRAY, strictness,
        MHD_OPTION_NOTIFY_COMPLETED, settings->completed, settings->context,
        MHD_OPTION_NOTIFY_CONNECTION, settings->connection, settings->context,
        MHD_OPTION_UNESCAPE_CALLBACK, tapster_mhd_keep, NULL,
        MHD_OPTION_END);
}

// MHD_get_connection_info is variadic, and returns a union.
static inline int tapster_mhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

static inline void *tapster_mhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static inline const struct sockaddr *tapster_mhd_address(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL ? NULL : info->client_addr;
}

// Size of the request's head, from the method to the empty line.
static inline size_t tapster_mhd_header_bytes(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info == NULL ? 0 : info->header_size;
}

// A header field in the library's memory, which is valid until the request is complete.
struct tapster_mhd_field {
    const char *name;
    size_t name_bytes;
    const char *value;
    size_t value_bytes;
};

struct tapster_mhd_fields {
    struct tapster_mhd_field *fields;
    size_t count;
    size_t max;
};

static enum MHD_Result tapster_mhd_add_field(
    void *context, enum MHD_ValueKind kind, const char *name, size_t name_bytes, const char *value,
    size_t value_bytes) {
    struct tapster_mhd_fields *fields = (struct tapster_mhd_fields *)context;
    (void)kind;
    if (fields->count == fields->max) return MHD_NO;
    fields->fields[fields->count++] = (struct tapster_mhd_field){name, name_bytes, value, value_bytes};
    return MHD_YES;
}

static inline size_t tapster_mhd_count_fields(struct MHD_Connection *connection) {
    return (size_t)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, NULL, NULL);
}

// Reads at most `max` header fields, in the order of the request.
static inline size_t tapster_mhd_read_fields(
    struct MHD_Connection *connection, struct tapster_mhd_field *fields, size_t max) {
    struct tapster_mhd_fields found = {fields, 0, max};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, tapster_mhd_add_field, &found);
    return found.count;
}

// A gnutls_session_t; NULL without TLS.
static inline void *tapster_mhd_tls_session(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info == NULL ? NULL : info->tls_session;
}

// MHD_upgrade_action is variadic. Ends the library's use of the socket, which it closes; duplicates stay open.
static inline void tapster_mhd_end_upgrade(struct MHD_UpgradeResponseHandle *handle) {
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}
