/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify.h - what the service manager is told (sd_notify(3)), and its sockets (sd_listen_fds(3))
 *
 * Without a service manager, or without libsystemd, nothing is told and there are no sockets.
 */
#ifndef OKL4FSD_UTIL_NOTIFY_H
#define OKL4FSD_UTIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/** notify_wanted() - whether the service manager wants to be told */
bool notify_wanted(void);

/** notify() - tell the service manager lines of VARIABLE=value; any thread */
__attribute__((format(printf, 1, 2))) void notify(const char *fmt, ...);

/** notify_wait() - until the service manager has read what it was told, but at most @ms; any thread */
void notify_wait(unsigned int ms);

/** notify_reloading() - a reload begins; notify("READY=1") when it is over */
void notify_reloading(void);

/** notify_watchdog_us() - the time within which WATCHDOG=1 must be told; 0: there is no watchdog */
uint64_t notify_watchdog_us(void);

/** notify_with_fd() - as notify(), with a descriptor; any thread */
__attribute__((format(printf, 2, 3))) void notify_with_fd(int fd, const char *fmt, ...);

/**
 * notify_take_fds() - take the service manager's listening socket, and what the former daemon stored
 * @name: FileDescriptorName= of a listening unix stream socket; others are closed, with a log line
 * @stored: is given each stored descriptor, close-on-exec
 *
 * Call this once, before there are other threads.
 *
 * Return: the socket, non-blocking and close-on-exec, owned by the caller; -ENOENT: there is no
 * such socket; or another negated errno, with a log line.
 */
int notify_take_fds(const char *name, void (*stored)(const char *name, int fd));

#endif
