// SPDX-License-Identifier: BSD-3-Clause
/*
 * target.c - what a transfer runs over, named by one word
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "target.h"
#include "util.h"

/* connect_unix() - a connected socket; waits for a listener, within the limit */
static int connect_unix(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect(fd >= 0, "socket: %m");
	expect(strlen(path) < sizeof(addr.sun_path), "%s: too long for a socket", path);
	strcpy(addr.sun_path, path);
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		expect(errno == ENOENT || errno == ECONNREFUSED, "%s: %m", path);
		expect(now_ns() < end, "%s: nobody listens", path);
		poll(NULL, 0, 10);
	}
	return fd;
}

void target_open(struct target *t, const char *name, bool rx, bool tx)
{
	struct stat st;

	*t = (struct target){ .rx = -1, .tx = -1, .is_socket = strncmp(name, "unix:", 5) == 0 };
	if (t->is_socket) {
		t->rx = t->tx = connect_unix(name + 5);
	} else if (stat(name, &st) == 0 && S_ISCHR(st.st_mode)) {
		t->rx = t->tx = open(name, O_RDWR | O_CLOEXEC); /* a port has one opener */
		expect(t->rx >= 0, "%s: %m", name);
	} else {
		if (rx)
			t->rx = open_node(name, O_RDONLY);
		if (tx)
			t->tx = open_node(name, O_WRONLY);
	}
}

void target_end_tx(struct target *t)
{
	if (t->is_socket)
		expect(shutdown(t->tx, SHUT_WR) == 0, "shutdown: %m");
	else if (t->tx != t->rx)
		expect(close(t->tx) == 0, "close: %m");
	if (t->tx != t->rx)
		t->tx = -1;
}

void target_close(struct target *t)
{
	if (t->tx >= 0 && t->tx != t->rx)
		close(t->tx);
	if (t->rx >= 0)
		close(t->rx);
	t->rx = t->tx = -1;
}
