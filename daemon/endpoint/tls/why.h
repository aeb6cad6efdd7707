/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * why.h - why a connection failed, in sentences
 */
#ifndef OKL4FSD_ENDPOINT_TLS_WHY_H
#define OKL4FSD_ENDPOINT_TLS_WHY_H

#include "endpoint/tls/state.h"

/**
 * tls_why_verify() - what is wrong with the peer's certificate
 * @tls: credentials
 * @store: as the verify callback got it (SSL_CTX_set_verify(3))
 * @why: out
 */
void tls_why_verify(const struct tls *tls, X509_STORE_CTX *store, char why[ENDPOINT_ERROR_BYTES]);

/**
 * tls_why_error() - why a call of OpenSSL's failed
 * @tls: credentials
 * @code: what SSL_get_error(3) said
 * @error: errno after the call
 * @why: out
 */
void tls_why_error(const struct tls *tls, int code, int error, char why[ENDPOINT_ERROR_BYTES]);

/** tls_why_queue() - the last entry of OpenSSL's error queue, in OpenSSL's words; empties it */
const char *tls_why_queue(void);

#endif
