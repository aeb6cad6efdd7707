// SPDX-License-Identifier: BSD-3-Clause
/*
 * peer.c - the control socket in a thread of its own, and its clients
 */
#include "peer.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "loop/events.h"
#include "control/socket.h"
#include "util/fd.h"

static char dir[32];
static struct loop *main_loop;
static struct control_socket control;
static struct control *server_control;

void control_start(void)
{
	strcpy(dir, "okl4fs-control-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(control_path, sizeof(control_path), "%s/c", dir);
	cr_assert_eq(loop_new(&main_loop, "main"), 0);
	cr_assert_eq(events_open(main_loop), 0);
	cr_assert_eq(control_socket_open(&control, server_config(NULL), -1), 0);
	cr_assert_eq(control_new(&server_control, main_loop, NULL, &control), 0);
	cr_assert_eq(loop_start(main_loop), 0);
}

void control_stop(void)
{
	loop_stop(main_loop);
	server_control = control_free(server_control);
	control_socket_close(&control);
	events_close();
	main_loop = loop_free(main_loop);
	cr_assert_eq(access(control_path, F_OK), -1);
	cr_assert_eq(rmdir(dir), 0);
}

void control_reload(void (*change)(void *arg))
{
	loop_call(main_loop, change, NULL);
	loop_call(main_loop, control_watch->reloaded, control_watch->arg);
}

int connection(void)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = fd_connect_unix(control_path, FD_UNIX_STREAM);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

FILE *client(void)
{
	FILE *f = fdopen(connection(), "r");

	cr_assert_not_null(f);
	return f;
}

void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void hear(FILE *f, const char *want)
{
	char *line = NULL;
	size_t size;
	ssize_t n = getline(&line, &size, f);

	if (want)
		cr_assert(n > 0 && !strncmp(line, want, strlen(want)), "%zd: %s", n, line);
	else
		cr_assert_eq(n, -1, "%s", line);
	free(line);
}
