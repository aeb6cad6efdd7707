// SPDX-License-Identifier: BSD-3-Clause
/*
 * child.c - a command for each session
 */
#include "serve/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	pid_t pid;
	unsigned long number;
	LIST_ENTRY(child) next;
};

static struct {
	char **command;
	void (*ended)(unsigned long number, int status);
	struct event *signal;
	LIST_HEAD(, child) all;
} self;

static void reap(evutil_socket_t number, short what, void *arg)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		LIST_FOREACH(c, &self.all, next)
		if (c->pid == pid)
			break;
		if (!c)
			continue; /* adopted: we are a container's first process */
		LIST_REMOVE(c, next);
		self.ended(c->number, status);
		free(c);
	}
}

int child_setup(struct event_base *base, char **command,
		void (*ended)(unsigned long number, int status))
{
	self.command = command;
	self.ended = ended;
	LIST_INIT(&self.all);
	self.signal = evsignal_new(base, SIGCHLD, reap, NULL);
	return self.signal && !event_add(self.signal, NULL) ? 0 : -ENOMEM;
}

/* Signals are as at a login, not as we have set them. Return: a positive errno, or 0 */
static int spawn(int session, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	error = posix_spawn_file_actions_adddup2(&files, session, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&files, session, STDOUT_FILENO);
	if (!error)
		error = posix_spawnp(pid, self.command[0], &files, &attr, self.command, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return error;
}

int child_start(int session, unsigned long number)
{
	struct child *c = calloc(1, sizeof(*c));
	char text[24];
	int error;

	if (!c)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%lu", number);
	setenv("OKL4FS_SESSION", text, 1);
	error = spawn(session, &c->pid);
	if (error) {
		free(c);
		return -error;
	}
	c->number = number;
	LIST_INSERT_HEAD(&self.all, c, next);
	return 0;
}

void child_terminate_all(void)
{
	struct child *c;

	LIST_FOREACH(c, &self.all, next)
	kill(-c->pid, SIGTERM);
}
