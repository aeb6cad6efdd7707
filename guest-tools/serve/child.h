/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child.h - a command for each session
 */
#ifndef OKL4FS_SERVE_CHILD_H
#define OKL4FS_SERVE_CHILD_H

#include <event2/event.h>

/**
 * child_setup() - watch SIGCHLD
 * @base: loop
 * @command: what to run, by PATH; kept
 * @ended: a child has ended; @status is wait(2)'s
 *
 * Return: 0 or -errno.
 */
int child_setup(struct event_base *base, char **command,
		void (*ended)(unsigned long number, int status));

/**
 * child_start() - run the command in a process group of its own
 * @session: its standard input and output; stays the caller's
 * @number: of the session; the command finds it in OKL4FS_SESSION
 *
 * Return: 0 or -errno.
 */
int child_start(int session, unsigned long number);

/** child_terminate_all() - SIGTERM for the group of each command */
void child_terminate_all(void);

#endif
