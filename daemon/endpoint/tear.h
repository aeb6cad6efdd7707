/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tear.h - ends of connections that a client does not take for the end of a complete stream
 */
#ifndef OKL4FSD_ENDPOINT_TEAR_H
#define OKL4FSD_ENDPOINT_TEAR_H

#include "loop/loop.h"

/**
 * tear() - end a connection over which not everything was sent
 * @loop: of the calling thread
 * @fd: connected stream socket; owned from here on
 *
 * Over TCP the client gets a reset. Over a unix socket it gets ECONNRESET behind the bytes that it was
 * sent if it has sent something that was not read; else the connection stays open, and silent, until
 * the client sends something or hangs up.
 */
void tear(struct loop *loop, int fd);

/** tear_end() - close what is still open of @loop, which is about to stop; on its thread */
void tear_end(void *loop);

#endif
