/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no_daemon.h - what to look at when a daemon cannot be reached
 */
#ifndef OKL4FSD_CTL_NO_DAEMON_H
#define OKL4FSD_CTL_NO_DAEMON_H

#include <stddef.h>

/**
 * no_daemon_hint() - the way out
 * @path: the socket that was tried
 * @error: why that failed, an errno
 * @text: out: one or more sentences, one per line
 * @bytes: room for it
 */
void no_daemon_hint(const char *path, int error, char *text, size_t bytes);

#endif
