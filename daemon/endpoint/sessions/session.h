/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - sessions whose host end is a socket
 *
 * From low to high; each file uses only those before it:
 *
 *	session  a board, and the ends of its sessions
 *	backlog  which client a session gets, where clients call
 *	unix     the endpoints unix-listen and unix-connect with sessions
 *	mux      a socket of several channels, and its clients
 *	mux_board the endpoint mux-listen
 *	tcp_listen, tcp_connect
 *
 * local.c has a board of its own, and so has the endpoint `channel` (joined/board.c).
 */
#ifndef OKL4FSD_ENDPOINT_SESSIONS_SESSION_H
#define OKL4FSD_ENDPOINT_SESSIONS_SESSION_H

#include <sys/queue.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/stream.h"
#include "endpoint/tls/tls.h"

struct session;

/**
 * struct board - the endpoint of a channel with sessions; first member of each type's own structure,
 *	which is one allocation
 * @ep: common part; its channel is NULL after board_leave()
 * @n_refs: holders: the channel, and each session
 * @waiting: sessions that wait for the other side, the oldest first
 * @n_open: sessions that have a connection
 * @clients: connections so far
 * @failed: attempts to connect that failed
 * @handshakes_failed: as in struct endpoint_info
 * @torn: likewise
 * @error: why the last one did; empty: it did not
 * @greet: (may be NULL) say what comes before a session's bytes, to a connection that is about to serve
 *	@ch; where that fails, shut it down
 */
struct board {
	struct endpoint ep;
	unsigned int n_refs;
	TAILQ_HEAD(, session) waiting;
	unsigned int n_open;
	uint64_t clients, failed, handshakes_failed, torn;
	char error[ENDPOINT_ERROR_BYTES];
	void (*greet)(struct board *board, struct channel *ch, int fd);
};

/**
 * struct session - the host end of a session; first member where a type has more to keep
 * @ep: common part
 * @stream: its connection
 * @board: of the channel that it belongs to
 * @is_waiting: it is in @waiting of its board
 * @next: there
 * @timer: (connecting) begins the next attempt; NULL: none is planned
 * @wait_ms: how long that was put off
 * @until_ms: when it is given up
 * @cancel: (set by the endpoint) give up the attempt to connect; or NULL
 * @tls: its encrypted connection; NULL: it is not encrypted
 */
struct session {
	struct endpoint ep;
	struct stream stream;
	struct board *board;
	bool is_waiting;
	TAILQ_ENTRY(session) next;
	struct event *timer;
	unsigned int wait_ms;
	uint64_t until_ms;
	void (*cancel)(struct session *s);
	struct tls *tls;
};

/** board_init() - held by the channel; freed, with the type's own structure, by the last holder */
void board_init(struct board *board, const struct endpoint_ops *ops, struct channel *ch);

/** board_leave() - the channel has gone: it no longer holds it */
void board_leave(struct board *board);

/** board_info() - fill in what all boards know */
void board_info(const struct board *board, struct endpoint_info *info);

/** board_note() - something has gone wrong: keep and log it, and if it is the same again, only in debug */
__attribute__((format(printf, 2, 3))) void board_note(struct board *board, const char *fmt, ...);

/** session_new() - without a connection, bound to @ch; @bytes: of the type's own structure; Return: NULL: no memory */
struct session *session_new(size_t bytes, struct board *board, struct channel *ch);

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

/** session_torn() - TLS has ended before the peer's end of it: what comes in is not complete; @why: a sentence */
void session_torn(struct session *s, const char *peer, const char *why);

/** session_refuse() - one that waits is refused, and the guest is told */
void session_refuse(struct session *s, enum okl4_status status);

#endif
