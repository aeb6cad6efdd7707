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

#endif
