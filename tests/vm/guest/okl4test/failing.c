// SPDX-License-Identifier: BSD-3-Clause
/*
 * failing.c - open a channel with the first, the second, ... of its allocations failing
 *
 * This needs a kernel with fault injection (Documentation/fault-injection): the number that is
 * written to a thread's fail-nth says which of its allocations in the next system calls fails. The
 * file reads as 0 once that has happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "util.h"

#define MOST 100000 /* an open makes fewer allocations than this */

/* fail_nth() - have allocation @n fail, 0: none; Return: whether the one before had failed */
static bool fail_nth(unsigned int n)
{
	static int file = -1;
	char text[16] = "";

	if (file < 0)
		file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	expect(file >= 0, "fail-nth: %m");
	expect(pread(file, text, sizeof(text) - 1, 0) > 0, "fail-nth: %m");
	if (dprintf(file, "%u", n) < 0)
		fail("fail-nth: %m");
	return strtoul(text, NULL, 10) == 0;
}

/* try() - make and open a node of the channel; allocation @n fails; Return: whether it failed */
static bool try(const char *path, unsigned int n, bool *injected)
{
	int r, error, fd = -1;

	fail_nth(n);
	r = mkfifo(path, 0600);
	if (r == 0)
		fd = open(path, O_RDWR | O_CLOEXEC);
	error = errno;
	*injected = fail_nth(0);
	expect(fd >= 0 || error == ENOMEM, "allocation %u fails: %s says %s", n,
	       r ? "mkfifo" : "open", strerror(error));
	if (fd >= 0)
		close(fd);
	expect(unlink(path) == 0 || r, "unlink: %m");
	return fd < 0;
}

COMMAND(failing, "NODE")
{
	bool injected = true;
	unsigned int n, failed = 0;

	unlink(argv[0]);
	for (n = 1; injected; n++) {
		expect(n < MOST, "an open makes too many allocations");
		failed += try(argv[0], n, &injected);
	}
	expect(failed > 0, "not one open has failed");
	printf("failed %u opens of %u\n", failed, n - 1);
	return 0;
}
