/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connector.h - connects to a frontend that listens, for as long as it takes
 *
 * Connecting to a unix socket succeeds or fails at once. While it fails, inotify says when the socket
 * appears (loop/socket_watch.h), so a guest that is switched off costs next to nothing: the timer
 * backs off to a minute, and to five seconds where the folder cannot be watched.
 */
#ifndef OKL4FSD_VHOST_CONNECTOR_H
#define OKL4FSD_VHOST_CONNECTOR_H

#include "loop/loop.h"
#include "loop/socket_watch.h"
#include "util/log_limit.h"

/**
 * struct vhost_connector - all zero: none
 * @loop: where all this happens
 * @path: of the frontend's socket; borrowed
 * @about: what log lines are about; borrowed
 * @limit: of log lines
 * @answered: a frontend has taken the connection; @fd is non-blocking and belongs to it
 * @arg: its argument
 * @watch: runs while no frontend answers
 * @timer: begins the next attempt
 * @wait_ms: how long the last failure makes it wait
 * @tried_ms: when the last attempt was made
 * @why_not: errno of the last attempt; 0: it succeeded
 */
struct vhost_connector {
	struct loop *loop;
	const char *path;
	const struct log_about *about;
	struct log_limit limit;
	void (*answered)(void *arg, int fd);
	void *arg;
	struct socket_watch watch;
	struct event *timer;
	unsigned int wait_ms;
	uint64_t tried_ms;
	int why_not;
};

/** vhost_connector_init() - does not connect yet; loop's thread, as all others; Return: 0 or -ENOMEM */
int vhost_connector_init(struct vhost_connector *c, struct loop *loop, const char *path,
			 const struct log_about *about, void (*answered)(void *arg, int fd),
			 void *arg);

/** vhost_connector_deinit() - give up; all zero is allowed */
void vhost_connector_deinit(struct vhost_connector *c);

/** vhost_connector_try() - connect now, or when it becomes possible; @answered may come at once */
void vhost_connector_try(struct vhost_connector *c);

/**
 * vhost_connector_try_later() - as vhost_connector_try(), but not at once: a frontend that is dropped as
 * soon as it is there would keep us busy. No-op for a connector that is all zero.
 */
void vhost_connector_try_later(struct vhost_connector *c);

#endif
