/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * way.h - a connection's two directions, and what they are to the channel's ends
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_WAY_H
#define OKL4FSD_ENDPOINT_STREAM_WAY_H

#include "channel/io.h"

struct event;

/**
 * struct stream - a connection; only way.c, move.c and stream.c change it
 * @ch: the channel
 * @fd: the connection; -1: there is none
 * @hup_fd: epoll set that tells when the client has hung up
 * @read_ev: the client has written; on while there is room in bwd
 * @write_ev: the client has room; on while bytes wait for it
 * @hup_ev: the client has hung up
 * @serves: the host's ends of the channel are this connection's
 * @hung_up: the client is gone; what it wrote may still be there
 * @in_open: the direction in has not ended
 * @out_open: the direction out has not ended
 * @patient: (set by the endpoint) there will be another connection, and what the guest writes
 *	meanwhile waits for it: its own end-of-file leaves the host's reading end open
 * @in_shown: the host's writing end is open, as long as the direction in is; a patient stream waits
 *	with that until there are bytes or a reader, so that a connection which brings nothing leaves
 *	no end-of-file behind for a reader that comes later
 * @out_eof: (patient) the direction out has ended, by the guest's end-of-file
 * @cut_off: (set by the endpoint) the client was torn away: it may not have got what the guest wrote
 * @eof_phase: phase of the guest's writer whose end-of-file is not passed on, or has been already
 * @left_writer: phase of the guest's writer, open, that the direction out has left behind; 0: none
 * @in_end_writer: phase of the guest's writer when the direction in ended
 * @in_from: position in bwd at which this connection's bytes begin
 * @broken: (packets) why the connection has to end: a message does not fit; NULL: it need not
 * @message_lost: (packets) it was a message to the client
 * @in_torn: (session; set by the endpoint) what comes in ends before the peer's end of it
 * @taken_due: the direction in has ended, and channel_taken() follows; outlives the connection
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
	bool serves, hung_up, in_open, out_open;
	bool patient, in_shown, out_eof, cut_off;
	uint64_t eof_phase, left_writer, in_end_writer, in_from;
	const char *broken;
	bool message_lost, in_torn, taken_due;
	void (*changed)(void *arg);
	void (*tear)(void *arg, int fd);
	void (*ended)(void *arg);
	void *arg;
};

/* All of these: of a stream that serves a usable channel. */

/** stream_set_open() - bring the host's ends to what the directions are */
void stream_set_open(struct stream *s);

/** stream_show() - there is a reader: open the host's writing end, if it is not open */
void stream_show(struct stream *s);

/** stream_left_writer() - phase of the guest's writer, as last seen, if it is open; or 0 */
uint64_t stream_left_writer(const struct stream *s);

/** stream_end_in() - the direction in has ended */
void stream_end_in(struct stream *s);

/** stream_end_unread() - (session) the guest's reader has closed for good: the client cannot send any more */
void stream_end_unread(struct stream *s);

/** stream_settle_taken() - @all: the guest took what the connection sent; or can no longer */
void stream_settle_taken(struct stream *s, bool all);

/**
 * stream_look_taken() - see whether the guest has taken all that the connection sent
 * @s: a stream after the host's ends were brought to what its directions are
 *
 * That is so when a reader has seen the end-of-file and has closed; or when the bytes are taken and
 * nobody reads. The channel may fail.
 */
void stream_look_taken(struct stream *s);

/** stream_end_out() - the direction out has ended, since the client no longer takes anything */
void stream_end_out(struct stream *s);

/** stream_pass_eof() - the guest's writers have closed and nothing is left: the direction out ends */
void stream_pass_eof(struct stream *s);

#endif
