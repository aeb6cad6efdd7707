/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * move.h - the bytes of a connection, between its socket and the ring
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_MOVE_H
#define OKL4FSD_ENDPOINT_STREAM_MOVE_H

#include "endpoint/stream/way.h"

/**
 * stream_move_in() - a turn's share from the client to the guest
 * @s: stream that serves a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
int stream_move_in(struct stream *s);

/**
 * stream_move_out() - a turn's share from the guest to the client
 * @s: stream that serves a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
int stream_move_out(struct stream *s);

/**
 * stream_read_failed() - a read from the client gave 0 or an error
 * @s: stream that serves a usable channel
 * @n: what it gave; errno is the read's
 *
 * Return: as move of endpoint_turn().
 */
int64_t stream_read_failed(struct stream *s, ssize_t n);

/** stream_send_failed() - likewise: a send to the client gave an error; Return: likewise */
int64_t stream_send_failed(struct stream *s);

#endif
