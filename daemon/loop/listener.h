/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listener.h - the accept loop: a listening socket whose connections are handed on
 *
 * When accept(2) fails because descriptors or memory have run out, the socket stays readable, and a
 * loop that goes on looking burns a CPU. So it rests: for 100 ms at first, then twice as long each
 * time, up to some seconds. That is logged once, and again when connections are accepted again.
 *
 * struct listener accepts and rests. struct accept_rest is the rest alone, for evhttp, which accepts
 * the connections of the metrics itself: it has no public function that takes an accepted socket.
 */
#ifndef OKL4FSD_LOOP_LISTENER_H
#define OKL4FSD_LOOP_LISTENER_H

#include "loop/loop.h"
#include "util/log_limit.h"

struct event;

/**
 * struct accept_rest - the rest of a listening socket; all zero: none
 * @about: what its log lines are about; the names are borrowed
 * @name: where it listens, likewise; borrowed
 * @delay_ms: how long the last rest was; 0: connections are accepted
 * @limit: of the log lines, because descriptors may come and go
 * @timer: ends the rest
 * @go_on: look for connections again
 * @arg: its argument
 */
struct accept_rest {
	struct log_about about;
	const char *name;
	unsigned int delay_ms;
	struct log_limit limit;
	struct event *timer;
	void (*go_on)(void *arg);
	void *arg;
};

/**
 * accept_rest_init() - no rest yet
 * @rest: to be filled
 * @loop: loop of the calling thread
 * @about: see struct accept_rest; NULL: the daemon itself
 * @name: likewise
 * @go_on: likewise
 * @arg: likewise
 *
 * Return: 0 or -ENOMEM.
 */
int accept_rest_init(struct accept_rest *rest, struct loop *loop, const struct log_about *about,
		     const char *name, void (*go_on)(void *arg), void *arg);

/** accept_rest_deinit() - one that is all zero is allowed */
void accept_rest_deinit(struct accept_rest *rest);

/** accept_rest_begin() - accept(2) failed with @error: do not look until @go_on is called */
void accept_rest_begin(struct accept_rest *rest, int error);

/** accept_rest_over() - a connection was accepted, so descriptors are free again */
void accept_rest_over(struct accept_rest *rest);

/** accept_rest_is_on() - whether the socket rests; then @go_on will be called */
bool accept_rest_is_on(const struct accept_rest *rest);

/**
 * struct listener - a listening socket; all zero, or after listener_stop(): none
 * @fd: the socket
 * @event: a client connects; NULL: there is no socket
 * @rest: used while descriptors have run out, and by listener_rest()
 * @is_paused: listener_pause() was called
 * @come: called for each connection; @fd is non-blocking and close-on-exec, and belongs to @come
 * @arg: its argument
 */
struct listener {
	int fd;
	struct event *event;
	struct accept_rest rest;
	bool is_paused;
	void (*come)(void *arg, int fd);
	void *arg;
};

/**
 * listener_start() - begin to accept
 * @l: to be filled
 * @loop: loop of the calling thread
 * @about: as accept_rest_init()
 * @name: as accept_rest_init()
 * @fd: listening, non-blocking; ownership passes in every case
 * @come: see struct listener
 * @arg: likewise
 *
 * Return: 0 or -ENOMEM.
 */
int listener_start(struct listener *l, struct loop *loop, const struct log_about *about,
		   const char *name, int fd, void (*come)(void *arg, int fd), void *arg);

/** listener_rest() - from @come: accept no other connection for @ms milliseconds */
void listener_rest(struct listener *l, unsigned int ms);

/** listener_pause() - accept no connection until listener_go_on(); clients wait in the kernel's queue */
void listener_pause(struct listener *l);

/** listener_go_on() - accept again */
void listener_go_on(struct listener *l);

/** listener_stop() - close the socket */
void listener_stop(struct listener *l);

#endif
