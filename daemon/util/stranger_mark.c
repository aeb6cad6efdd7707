/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>
#include <sys/socket.h>

#include "util/stranger_mark.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16, <asm-generic/socket.h> */
#endif

#define MARKS_MAX (1 << 20) /* numbers of descriptors; fs.nr_open by default */

static atomic_uchar marks[MARKS_MAX / 8];

static unsigned char mark_bit(int fd)
{
	return (unsigned char)(1U << (fd & 7));
}

static void set_mark(int fd)
{
	if (fd >= 0 && fd < MARKS_MAX)
		atomic_fetch_or(&marks[fd / 8], mark_bit(fd));
}

bool stranger_is_marked(int fd)
{
	return fd >= 0 && fd < MARKS_MAX && atomic_load(&marks[fd / 8]) & mark_bit(fd);
}

void stranger_unmark(int fd)
{
	if (fd >= 0 && fd < MARKS_MAX)
		atomic_fetch_and(&marks[fd / 8], (unsigned char)~mark_bit(fd));
}

void stranger_mark(int fd)
{
	int off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)))
		set_mark(fd);
}

void stranger_inherit(int fd, int listening)
{
	if (stranger_is_marked(listening))
		set_mark(fd);
}
