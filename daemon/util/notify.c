/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/notify.h"

#ifdef HAVE_SYSTEMD

bool notify_wanted(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void notify(const char *fmt, ...)
{
	char state[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(state, sizeof(state), fmt, ap);
	va_end(ap);
	sd_notify(0, state);
}

void notify_wait(unsigned int ms)
{
	sd_notify_barrier(0, ms * 1000ULL);
}

uint64_t notify_watchdog_us(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

/* Return: @fd, or a negated errno; with a log line if it is another kind of descriptor */
static int prepare_socket(int fd, const char *name)
{
	int flags = fcntl(fd, F_GETFL);

	if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_err("the socket \"%s\" of the service manager is not a listening unix stream socket",
			name);
		return -ENOTSOCK;
	}
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : fd;
}

void notify_with_fd(int fd, const char *fmt, ...)
{
	char state[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(state, sizeof(state), fmt, ap);
	va_end(ap);
	sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

/* What is stored has a name with a '.' or a '/'; those of sockets of our units have none. */
static bool is_stored(const char *name)
{
	return strpbrk(name, "./");
}

int notify_take_fds(const char *name, void (*stored)(const char *name, int fd))
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), found = -ENOENT;

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (is_stored(names[i])) {
			stored(names[i], fd);
			continue;
		}
		if (found == -ENOENT && !strcmp(names[i], name)) {
			found = prepare_socket(fd, name);
			if (found >= 0)
				continue;
		} else {
			log_warning("the socket \"%s\" of the service manager is not used; "
				    "the control socket is called \"%s\"",
				    names[i], name);
		}
		close(fd);
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (n < 0)
		log_err("cannot take the sockets of the service manager: %s", strerror(-n));
	return n < 0 ? n : found;
}

#else

bool notify_wanted(void)
{
	return false;
}

void notify(const char *fmt, ...)
{
}

void notify_wait(unsigned int ms)
{
}

uint64_t notify_watchdog_us(void)
{
	return 0;
}

void notify_with_fd(int fd, const char *fmt, ...)
{
}

int notify_take_fds(const char *name, void (*stored)(const char *name, int fd))
{
	return -ENOENT;
}

#endif

void notify_reloading(void)
{
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_us());
}
