/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - a connected stream socket and a channel
 *
 * What every endpoint that speaks to a socket has in common: moving bytes both ways without a
 * buffer, half-closes, back-pressure, noticing that the other side is gone. The endpoint says how
 * a connection comes about, and what follows its end.
 *
 * From low to high; each file uses only those before it:
 *
 *	way     struct stream, and the ends of its two directions
 *	move    moving its bytes
 *	packets moving messages
 *	stream  its beginning and end
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_STREAM_H
#define OKL4FSD_ENDPOINT_STREAM_STREAM_H

#include "endpoint/stream/way.h"

/** stream_init() - without a connection; @ch, @arg borrowed */
void stream_init(struct stream *s, struct channel *ch, void (*ended)(void *arg), void *arg);

/** stream_is_open() - whether there is a connection */
bool stream_is_open(const struct stream *s);

/**
 * stream_open() - take a connection, which serves the channel as soon as that is usable
 * @s: stream without a connection
 * @fd: connected, non-blocking stream socket; owned from here on in every case
 *
 * Return: 0 or -errno. ended() may have been called before this returns 0.
 */
int stream_open(struct stream *s, int fd);

/** stream_close() - close the connection, if there is one; the channel's ends are not touched */
void stream_close(struct stream *s);

/** stream_hang_up() - end the connection, as if the client had; ended() is called */
void stream_hang_up(struct stream *s);

/** stream_look() - notice now whether the client has gone; ended() may be called */
void stream_look(struct stream *s);

/** stream_up(), stream_down(), stream_woken() - the channel's calls; @s: a struct stream */
void stream_up(void *s, bool fresh);
void stream_down(void *s, bool gone);
void stream_woken(void *s);

/* The three, for channel_bind() of an endpoint whose clients come; their argument is its stream */
extern const struct channel_endpoint_ops stream_channel_ops;

#endif
