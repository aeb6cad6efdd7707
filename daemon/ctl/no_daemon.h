/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no_daemon.h - what to look at when a daemon cannot be reached
 */
#ifndef OKL4FSD_CTL_NO_DAEMON_H
#define OKL4FSD_CTL_NO_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

/**
 * daemon_unit() - the unit of systemd that a control socket belongs to
 * @path: path of the socket
 * @unit: out: "okl4fsd", or "okl4fsd@NAME" for the socket of an instance
 * @bytes: room for it
 *
 * Return: false if it is that of another daemon.
 */
bool daemon_unit(const char *path, char *unit, size_t bytes);

/**
 * no_daemon_hint() - the way out
 * @path: the socket that was tried
 * @error: why that failed, an errno
 * @text: out: one or more sentences, one per line
 * @bytes: room for it
 */
void no_daemon_hint(const char *path, int error, char *text, size_t bytes);

#endif
