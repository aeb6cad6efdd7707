/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener.h - a listening socket whose connections are handed on
 */
#ifndef OKL4FS_ENDPOINT_LISTENER_H
#define OKL4FS_ENDPOINT_LISTENER_H

#include "channel.h"

struct event;

/**
 * struct listener - a listening socket
 * @ch: the channel, for log lines
 * @name: where it listens, likewise; borrowed
 * @fd: the socket; -1: there is none
 * @accept_ev: somebody connects
 * @retry_ev: turns @accept_ev on again
 * @come: called for each connection: non-blocking, the callee's
 * @arg: its argument
 */
struct listener {
	struct channel *ch;
	const char *name;
	int fd;
	struct event *accept_ev, *retry_ev;
	void (*come)(void *arg, int fd);
	void *arg;
};

/**
 * listener_start() - begin to accept
 * @l: to be filled
 * @ch: channel; borrowed
 * @name: borrowed
 * @fd: listening, non-blocking; owned from here on in every case
 * @come: see struct listener
 * @arg: likewise
 *
 * Return: 0 or -ENOMEM.
 */
int listener_start(struct listener *l, struct channel *ch, const char *name, int fd,
		   void (*come)(void *arg, int fd), void *arg);

/** listener_stop() - close the socket; one that is all zero or was stopped is allowed */
void listener_stop(struct listener *l);

#endif
