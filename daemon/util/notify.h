/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify.h - what a service manager is told and hands over (sd_notify(3), sd_listen_fds(3))
 *
 * Without one, or without libsystemd, nothing is told and there is nothing to take.
 */
#ifndef OKL4FSD_UTIL_NOTIFY_H
#define OKL4FSD_UTIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/** notify_wanted() - whether somebody listens */
bool notify_wanted(void);

/** notify() - tell lines of VARIABLE=value; any thread */
__attribute__((format(printf, 1, 2))) void notify(const char *fmt, ...);

/** notify_reloading() - a reload begins; notify("READY=1") when it is over */
void notify_reloading(void);

/** notify_watchdog_us() - within which WATCHDOG=1 is to be told; 0: there is no watchdog */
uint64_t notify_watchdog_us(void);

/**
 * notify_take_socket() - take a listening unix stream socket from the service manager
 * @name: its FileDescriptorName=; what else there is is closed, with a log line
 *
 * To be called once, before there are other threads.
 *
 * Return: the descriptor, non-blocking and close-on-exec, owned by the caller; -ENOENT: there is
 * none; or another negated errno, with a log line.
 */
int notify_take_socket(const char *name);

#endif
