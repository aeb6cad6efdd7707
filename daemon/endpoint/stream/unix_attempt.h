/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_attempt.h - one attempt to connect to a unix socket, which succeeds or fails at once
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_UNIX_ATTEMPT_H
#define OKL4FSD_ENDPOINT_STREAM_UNIX_ATTEMPT_H

#include <stdbool.h>

struct log_about;

/**
 * unix_attempt_check() - whether a server at a path can be seen from inside the service's sandbox
 * @about: for the log line
 * @what: what wants to connect, likewise
 * @path: of the server's socket
 *
 * Return: 0 or -EPERM, with a log line.
 */
int unix_attempt_check(const struct log_about *about, const char *what, const char *path);

/** unix_attempt() - @packets: the server has messages; Return: a connected, non-blocking socket, or -errno */
int unix_attempt(const char *path, bool packets);

/** unix_attempt_why() - what @error, a result of unix_attempt(), means; valid as strerror(3)'s */
const char *unix_attempt_why(int error, bool packets);

#endif
