/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - sessions whose host end is a socket
 *
 * From low to high; each file uses only those before it:
 *
 *	session  a board, and the ends of its sessions
 *	backlog  which client a session gets, where clients call
 *	unix     the endpoints unix-listen and unix-connect with sessions
 *
 * local.c and joined.c have boards of their own.
 */
#ifndef OKL4FSD_ENDPOINT_SESSIONS_SESSION_H
#define OKL4FSD_ENDPOINT_SESSIONS_SESSION_H

#include <sys/queue.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/stream.h"

struct session;

/**
 * struct board - the endpoint of a channel with sessions; first member of each type's own structure
 * @ep: common part; its channel is valid until free() of it is called
 * @n_refs: holders: the channel, and each session
 * @waiting: sessions that wait for the other side, the oldest first
 * @n_open: sessions that have a connection
 * @clients: connections so far
 * @failed: attempts to connect that failed
 * @error: why the last one did; empty: it did not
 * @last: free the type's own structure: no session is left, either
 */
struct board {
	struct endpoint ep;
	unsigned int n_refs;
	TAILQ_HEAD(, session) waiting;
	unsigned int n_open;
	uint64_t clients, failed;
	char error[ENDPOINT_ERROR_BYTES];
	void (*last)(struct board *board);
};

/**
 * struct session - the host end of a session
 * @ep: common part
 * @stream: its connection
 * @board: of the channel that it belongs to
 * @is_waiting: it is in @waiting of its board
 * @next: there
 * @was_open: it has had a connection
 * @timer: (connecting) begins the next attempt; NULL: none is planned
 * @wait_ms: how long that was put off
 * @until_ms: when it is given up
 */
struct session {
	struct endpoint ep;
	struct stream stream;
	struct board *board;
	bool is_waiting;
	TAILQ_ENTRY(session) next;
	bool was_open;
	struct event *timer;
	unsigned int wait_ms;
	uint64_t until_ms;
};

/** board_init() - held by the channel; @last: as in struct board */
void board_init(struct board *board, const struct endpoint_ops *ops, struct channel *ch,
		void (*last)(struct board *board));

/** board_let_go() - one holder less */
void board_let_go(struct board *board);

/** board_info() - fill in what all boards know */
void board_info(const struct board *board, struct endpoint_info *info);

/** board_note() - something has gone wrong: keep and log it, and if it is the same again, only in debug */
__attribute__((format(printf, 2, 3))) void board_note(struct board *board, const char *fmt, ...);

/** session_new() - without a connection, bound to @ch; Return: 0 or -ENOMEM */
int session_new(struct session **out, struct board *board, struct channel *ch);

/** session_wait() - it waits for the other side, behind those that do already */
void session_wait(struct session *s);

/** session_unwait() - it no longer does; one that does not wait is allowed */
void session_unwait(struct session *s);

/**
 * session_connect() - it has a connection
 * @s: session without one
 * @fd: connected, non-blocking stream socket; owned from here on in every case
 *
 * One that waits is told so to the guest.
 *
 * Return: 0 or a negated okl4_status; one that waits has been refused then.
 */
int session_connect(struct session *s, int fd);

/** session_refuse() - one that waits is refused, and the guest is told */
void session_refuse(struct session *s, enum okl4_status status);

#endif
