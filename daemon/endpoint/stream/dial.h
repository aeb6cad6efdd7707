/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dial.h - connections that the daemon makes, when the guest wants them
 *
 * What unix-connect and tcp-connect have in common: when to connect, how long to wait after a
 * failure, and when a connection is over. The endpoint says how one attempt goes.
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_DIAL_H
#define OKL4FSD_ENDPOINT_STREAM_DIAL_H

#include "endpoint/endpoint.h"
#include "endpoint/stream/stream.h"

/* After the first failure, and at most; each failure doubles it, and up to a quarter is added */
#define DIAL_WAIT_MIN_MS 50U
#define DIAL_WAIT_MAX_MS 5000U
/* From one attempt to the next, whether it succeeded or not */
#define DIAL_SPACING_MS 10U

/** enum dial_state - what is under way */
enum dial_state {
	DIAL_IDLE, /* no connection is wanted */
	DIAL_WAITING, /* the timer runs, then there is an attempt */
	DIAL_TRYING, /* an attempt */
	DIAL_CONNECTED,
};

/**
 * struct dial_ops - what the endpoint does
 * @attempt: begin an attempt; dial_connected() or dial_failed() ends it, now or later
 * @abort: give up the attempt that is under way; neither must be called afterwards
 * @waiting: (may be NULL) the timer has been started (@yes), or is no longer of interest: watch for
 *	whatever else says that an attempt would succeed now (dial_hint())
 */
struct dial_ops {
	void (*attempt)(void *arg);
	void (*abort)(void *arg);
	void (*waiting)(void *arg, bool yes);
};

/**
 * struct dial - a connecting endpoint's state; only dial.c changes it
 * @ch: the channel
 * @target: what it connects to, for log lines; borrowed
 * @ops: see there
 * @arg: their argument
 * @stream: the connection
 * @state: what is under way
 * @timer: begins an attempt
 * @wait_ms: how long the next failure makes it wait; 0: the last attempt did not fail
 * @not_before_ms: no attempt before this time
 * @connected_ms: when the connection came about
 * @first_reader: phase of the guest's reader at that time
 * @had_reader: the guest has had a reader since
 * @closed: no other connection is made
 * @clients: connections so far
 * @failed: attempts that failed
 * @error: why the last one did; empty: it did not
 */
struct dial {
	struct channel *ch;
	const char *target;
	const struct dial_ops *ops;
	void *arg;
	struct stream stream;
	enum dial_state state;
	struct event *timer;
	unsigned int wait_ms;
	uint64_t not_before_ms, connected_ms;
	uint64_t first_reader;
	bool had_reader, closed;
	uint64_t clients, failed;
	char error[ENDPOINT_ERROR_BYTES];
};

/** dial_init() - @target, @ops, @arg borrowed; binds the channel's calls; Return: 0 or -ENOMEM */
int dial_init(struct dial *d, struct channel *ch, const char *target, const struct dial_ops *ops,
	      void *arg);

/** dial_close() - make no further connection; one that is open stays if there is a tail for it */
void dial_close(struct dial *d);

/** dial_deinit() - end the connection and what is under way; a dial that is all zeros is allowed */
void dial_deinit(struct dial *d);

/** dial_connected() - the attempt succeeded; sends the PROXY header, if one is configured; @fd: non-blocking stream socket, owned from here on */
void dial_connected(struct dial *d, int fd);

/** dial_failed() - the attempt failed; @fmt: why, as a sentence without its dot */
__attribute__((format(printf, 2, 3))) void dial_failed(struct dial *d, const char *fmt, ...);

/** dial_note() - something else is wrong: dial_info() says so until the next connection */
void dial_note(struct dial *d, const char *text);

/** dial_hint() - a server may be listening now: do not wait for the timer */
void dial_hint(struct dial *d);

/** dial_info() - fill in what the dial knows */
void dial_info(const struct dial *d, struct endpoint_info *info);

#endif
