/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * try.h - what a start with a configuration would find, without starting (okl4fsd --check)
 *
 * The files, from low to high; each one uses only those before it:
 *
 *	try_running  the daemon that runs with this configuration already, and what it holds
 *	try_value    single values: files, sockets, addresses, groups
 *	try_service  as which user, and in which sandbox
 *	try          the whole configuration
 *
 * Nothing is created, connected to, or held: a daemon that runs does not notice.
 */
#ifndef OKL4FSD_SERVER_TRY_H
#define OKL4FSD_SERVER_TRY_H

#include <stdbool.h>

/**
 * server_try() - check a configuration, and print what is found
 * @path: its file; NULL: the built-in one
 * @user: root looks as this user; NULL: as okl4fs, if there is such a user
 * @only_file: do not look at anything but the file itself
 *
 * Errors go to standard error; what cannot be tried and a last line with the numbers to standard output.
 * Root looks at a configuration of the service or of an instance, which lie in /etc/okl4fs, from inside the
 * sandbox of its unit, if systemd runs.
 *
 * Return: how many errors there are, or -1 when @user does not exist, which is reported, too.
 */
int server_try(const char *path, const char *user, bool only_file);

#endif
