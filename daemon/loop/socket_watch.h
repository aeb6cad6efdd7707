/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_watch.h - learn that another program has made the socket that we want to connect to
 *
 * inotify(7) reports what happens to the socket's file in its folder. It cannot say when listen(2)
 * comes, which follows soon after the file appears, nor watch a folder that does not exist. So a
 * caller has a timer, too; it may run slowly while there is a watch.
 */
#ifndef OKL4FSD_LOOP_SOCKET_WATCH_H
#define OKL4FSD_LOOP_SOCKET_WATCH_H

#include <stdbool.h>

#include "loop/loop.h"

struct event;

/**
 * struct socket_watch - a watch; all zero: none
 * @fd: of inotify
 * @event: it has something to say; NULL: there is no watch
 * @name: of the socket in its folder; borrowed
 * @changed: the socket has appeared or its mode has changed, or so has its folder: try to connect
 * @arg: its argument
 */
struct socket_watch {
	int fd;
	struct event *event;
	const char *name;
	void (*changed)(void *arg);
	void *arg;
};

/**
 * socket_watch_start() - watch from now on; a watch that is there is replaced
 * @w: watch
 * @loop: loop of the calling thread
 * @path: of the socket; borrowed until socket_watch_stop()
 * @changed: see struct socket_watch; it may stop or start the watch
 * @arg: likewise
 *
 * Return: whether there is a watch: false when the folder does not exist or may not be read.
 */
bool socket_watch_start(struct socket_watch *w, struct loop *loop, const char *path,
			void (*changed)(void *arg), void *arg);

/** socket_watch_stop() - end the watch, if there is one */
void socket_watch_stop(struct socket_watch *w);

#endif
