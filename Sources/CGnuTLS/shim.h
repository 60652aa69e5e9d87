// GnuTLS, which libmicrohttpd uses for TLS, and a verify function that is simpler in C than in Swift.
#pragma once
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

// gnutls_certificate_verify_function: a client's certificate is optional, but if sent, it must be valid and issued for
// client authentication. Otherwise the handshake fails.
static int tapster_gnutls_verify_client(gnutls_session_t session) {
    unsigned count = 0;
    if (gnutls_certificate_get_peers(session, &count) == NULL) return 0;
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned wrong = 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &wrong) < 0) return GNUTLS_E_CERTIFICATE_ERROR;
    return wrong == 0 ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static inline void tapster_gnutls_verify_clients(gnutls_session_t session) {
    gnutls_session_set_verify_function(session, tapster_gnutls_verify_client);
}
