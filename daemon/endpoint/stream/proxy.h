/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.h - what a server is told of the guest that a connection is for: a PROXY protocol header
 *
 * https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, section 2.2. Servers that do not expect
 * it take it for the guest's first bytes, so it is sent only where it is configured.
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_PROXY_H
#define OKL4FSD_ENDPOINT_STREAM_PROXY_H

#include "channel/channel.h"

/* Types of our own; okl4fsd.json(5) describes them. Each value is text */
enum proxy_type {
	PROXY_GUEST = 0xe0,
	PROXY_CHANNEL,
	PROXY_OPENER_UID,
	PROXY_OPENER_GID,
	PROXY_OPENER_PID,
	PROXY_OPENER_COMM,
	PROXY_OPENER_END,
};

/**
 * proxy_send() - send the header, the first bytes of a connection
 * @ch: channel
 * @fd: a new connection, to which nothing was sent
 * @target: what it is connected to
 *
 * Return: 0 or -errno.
 */
int proxy_send(struct channel *ch, int fd, const char *target);

#endif
