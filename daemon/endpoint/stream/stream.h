/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - a connected stream socket joined to a channel
 *
 * What every endpoint that speaks to a socket has in common: moving bytes both ways without a
 * buffer, half-closes, back-pressure, noticing that the other side is gone. The endpoint says how
 * a connection comes about, and what follows its end.
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_STREAM_H
#define OKL4FSD_ENDPOINT_STREAM_STREAM_H

#include "channel/channel.h"

struct event;

/**
 * struct stream - a connection; read-only to everybody but stream*.c
 * @ch: the channel
 * @fd: the connection; -1: there is none
 * @hup_fd: epoll set that tells when the client has hung up
 * @read_ev: the client has written; on while there is room in bwd
 * @write_ev: the client has room; on while bytes wait for it
 * @hup_ev: the client has hung up
 * @joined: the host's ends of the channel are this connection's
 * @hung_up: the client is gone; what it wrote may still be there
 * @in_open: the direction in has not ended
 * @out_open: the direction out has not ended
 * @patient: (set by the endpoint) there will be another connection, and what the guest writes
 *	meanwhile waits for it: its own end-of-file leaves the host's reading end open
 * @in_shown: the host's writing end is open, as long as the direction in is; a patient stream waits
 *	with that until there are bytes or a reader, so that a connection which brings nothing leaves
 *	no end-of-file behind for a reader who comes later
 * @out_eof: (patient) the direction out has ended, by the guest's end-of-file
 * @eof_phase: phase of the guest's writer whose end-of-file is not to be passed on (any more)
 * @left_writer: phase of the guest's writer, open, that the direction out has left behind; 0: none
 * @in_end_writer: phase of the guest's writer when the direction in ended
 * @changed: (set by the endpoint) called when a phase may have changed, or NULL
 * @tear: (set by the endpoint) something stands between the client and @fd: let the client see that its
 *	stream is torn; @fd is closed afterwards. NULL: @fd is the client's
 * @ended: called when the connection is over and closed
 * @arg: its argument, and that of @changed and @tear
 */
struct stream {
	struct channel *ch;
	int fd;
	int hup_fd;
	struct event *read_ev, *write_ev, *hup_ev;
	bool joined, hung_up, in_open, out_open;
	bool patient, in_shown, out_eof;
	uint64_t eof_phase, left_writer, in_end_writer;
	void (*changed)(void *arg);
	void (*tear)(void *arg, int fd);
	void (*ended)(void *arg);
	void *arg;
};

/** stream_init() - without a connection; @ch, @arg borrowed */
void stream_init(struct stream *s, struct channel *ch, void (*ended)(void *arg), void *arg);

/** stream_is_open() - whether there is a connection */
bool stream_is_open(const struct stream *s);

/**
 * stream_open() - take a connection, and join it if the channel is usable
 * @s: stream without a connection
 * @fd: connected, non-blocking stream socket; owned from here on in every case
 *
 * Return: 0 or -errno. ended() may have been called before this returns 0.
 */
int stream_open(struct stream *s, int fd);

/** stream_close() - close the connection, if there is one; the channel's ends are not touched */
void stream_close(struct stream *s);

/** stream_show() - there is a reader: open the host's writing end, if it is not */
void stream_show(struct stream *s);

/** stream_hang_up() - end the connection, as if the client had; ended() is called */
void stream_hang_up(struct stream *s);

/** stream_look() - notice now whether the client has gone; ended() may be called */
void stream_look(struct stream *s);

/** stream_up(), stream_down(), stream_woken() - pass on the channel's calls (channel.h) */
void stream_up(struct stream *s);
void stream_down(struct stream *s, bool gone);
void stream_woken(struct stream *s);

#endif
