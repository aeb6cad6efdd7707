/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * private.h - the inside of stream.h
 *
 *	stream.c       a connection's beginning and end, and those of its directions
 *	stream_move.c  moving its bytes
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_PRIVATE_H
#define OKL4FSD_ENDPOINT_STREAM_PRIVATE_H

#include "endpoint/stream/stream.h"

/**
 * stream_end_in() - the direction in has ended
 * @s: joined stream
 */
void stream_end_in(struct stream *s);

/**
 * stream_end_out() - the direction out has ended, since the client takes nothing any more
 * @s: joined stream
 */
void stream_end_out(struct stream *s);

/**
 * stream_pass_eof() - the guest's writers have closed and nothing is left
 * @s: joined stream
 */
void stream_pass_eof(struct stream *s);

/**
 * stream_move_in() - a turn's share from the client to the guest
 * @s: joined stream with a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
int stream_move_in(struct stream *s);

/**
 * stream_move_out() - a turn's share from the guest to the client
 * @s: joined stream with a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
int stream_move_out(struct stream *s);

#endif
