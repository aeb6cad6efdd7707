/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backlog.h - which client a session gets, where clients call
 */
#ifndef OKL4FSD_ENDPOINT_SESSIONS_BACKLOG_H
#define OKL4FSD_ENDPOINT_SESSIONS_BACKLOG_H

#include "endpoint/sessions/session.h"

#define SESSION_BACKLOG \
	16U /* clients that wait for the guest; the next ones wait in the kernel's queue */

struct backlog_client;

/**
 * struct backlog - clients that wait for a session
 * @board: where sessions wait for a client
 * @client: the clients, the oldest first
 * @n: how many
 * @hup_fd: epoll set that tells when one of them has hung up; -1: not made yet
 * @hup: event on it
 * @full: called when the last place is taken (@yes), and when there is one again
 */
struct backlog {
	struct board *board;
	TAILQ_HEAD(, backlog_client) client;
	unsigned int n;
	int hup_fd;
	struct event *hup;
	void (*full)(struct backlog *b, bool yes);
};

/** backlog_init() - empty; Return: 0 or -errno */
int backlog_init(struct backlog *b, struct board *board, void (*full)(struct backlog *b, bool yes));

/** backlog_deinit() - hang up on all; one that is all zero is allowed */
void backlog_deinit(struct backlog *b);

/**
 * backlog_come() - a client: the session that has waited longest gets it, or it waits
 * @b: backlog
 * @fd: its connection; owned from here on
 * @tls: what encrypts it; owned from here on; NULL: nothing
 */
void backlog_come(struct backlog *b, int fd, struct tls *tls);

/** backlog_open() - open() of an endpoint where clients call; see struct endpoint_ops */
int backlog_open(struct backlog *b, struct channel *ch, uint32_t flags, struct endpoint **ep);

#endif
