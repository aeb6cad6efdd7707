/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stranger_mark.h - which sockets strangers can send descriptors to (why: util/stranger.h)
 */
#ifndef OKL4FSD_UTIL_STRANGER_MARK_H
#define OKL4FSD_UTIL_STRANGER_MARK_H

#include <stdbool.h>

/**
 * stranger_mark() - let no descriptors come over a unix socket
 * @fd: socket that does not listen yet, or is not connected yet. A socket that is accepted from it
 *	is marked, too
 *
 * From Linux 6.16 on the kernel refuses the descriptors, and @fd needs no mark.
 */
void stranger_mark(int fd);

/** stranger_is_marked() - whether close(2) and read(2) must take care of descriptors */
bool stranger_is_marked(int fd);

/** stranger_unmark() - the descriptor is about to be closed */
void stranger_unmark(int fd);

/** stranger_inherit() - @fd was accepted from @listening */
void stranger_inherit(int fd, int listening);

#endif
