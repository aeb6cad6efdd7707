/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox.h - what the service manager's sandbox keeps from this process, and the way out
 *
 * With PrivateTmp= the service has a /tmp of its own: a socket can be made there, but no other program
 * sees it. With ProtectHome=, home directories are replaced by an empty folder without permissions. With
 * ProtectSystem=strict and ReadOnlyPaths=, most other mounts are read-only (systemd.exec(5)). All that is
 * seen in /proc/self/mountinfo (proc(5)), where a private folder has a root that the manager has made.
 */
#ifndef OKL4FSD_UTIL_SANDBOX_H
#define OKL4FSD_UTIL_SANDBOX_H

#include <stdbool.h>

/** enum sandbox_view - what this process sees of the mount that a path lies on */
enum sandbox_view {
	SANDBOX_AS_ALL, /* what all others see, as far as is known */
	SANDBOX_READ_ONLY,
	SANDBOX_PRIVATE, /* a folder of its own */
	SANDBOX_AWAY, /* nothing: the folder is replaced by an empty one */
};

/** enum sandbox_use - what a path is for */
enum sandbox_use { SANDBOX_SOCKET, SANDBOX_CONNECT, SANDBOX_FILE };

/** sandbox_view() - of a path, whose last parts need not exist; any thread */
enum sandbox_view sandbox_view(const char *path);

/** sandbox_hides() - what lies at that path is not what other programs see there; any thread */
bool sandbox_hides(const char *path);

/**
 * sandbox_path_hint() - why a path is of no use in this sandbox, and which one is
 * @path: the path
 * @use: what for
 *
 * Return: text in parentheses with a blank before it, for the end of a log line; "": the sandbox is not the
 * cause. Valid until the thread's next call.
 */
const char *sandbox_path_hint(const char *path, enum sandbox_use use);

/** sandbox_network_hint() - likewise, why an address or a name of a host is of no use; @error: errno or 0 */
const char *sandbox_network_hint(int error);

#endif
