/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify.h - reports to the service manager, and sockets from it (sd_notify(3), sd_listen_fds(3))
 *
 * Without a service manager, or without libsystemd, the functions do nothing and return no socket.
 */
#ifndef OKL4FSD_UTIL_NOTIFY_H
#define OKL4FSD_UTIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/** notify_wanted() - whether a service manager takes reports */
bool notify_wanted(void);

/** notify() - report lines of VARIABLE=value; any thread */
__attribute__((format(printf, 1, 2))) void notify(const char *fmt, ...);

/** notify_reloading() - a reload begins; notify("READY=1") when it is over */
void notify_reloading(void);

/** notify_watchdog_us() - the longest time between two reports of WATCHDOG=1; 0: no watchdog */
uint64_t notify_watchdog_us(void);

/**
 * notify_take_socket() - take a listening unix stream socket from the service manager
 * @name: its FileDescriptorName=; all other sockets are closed, with a log line
 *
 * Call it once, before other threads start.
 *
 * Return: the descriptor, non-blocking and close-on-exec, owned by the caller; -ENOENT: there is
 * none; or another negated errno, with a log line.
 */
int notify_take_socket(const char *name);

#endif
