/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pump.h - moving bytes over an encrypted connection, both ways
 */
#ifndef OKL4FSD_ENDPOINT_TLS_PUMP_H
#define OKL4FSD_ENDPOINT_TLS_PUMP_H

#include "endpoint/tls/state.h"

/** enum tls_verdict - what a turn of the pump has found, for the link to act on */
enum tls_verdict {
	TLS_WAITS, /* for an event, which the pump has added */
	TLS_GOES_ON, /* the turn's share is used up */
	TLS_OVER, /* both directions have ended */
	TLS_TORN, /* the connection has ended without a close_notify; @why of the link says how */
};

/**
 * tls_pump() - a turn's share, both ways
 * @l: open link; its @sent is set when the peer has taken bytes
 *
 * Return: the verdict.
 */
enum tls_verdict tls_pump(struct tls_link *l);

/** tls_pump_end_out() - the direction out of an open link is over, whatever is left */
void tls_pump_end_out(struct tls_link *l);

/**
 * tls_pump_wait() - add the event that OpenSSL waits for
 * @l: link
 * @r: what the call of OpenSSL returned
 *
 * Return: 0, or what SSL_get_error(3) said if that is not a reason to wait.
 */
int tls_pump_wait(struct tls_link *l, int r);

#endif
