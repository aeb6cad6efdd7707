/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sigbus.h - a guest whose memory is taken away loses its device; the daemon and other guests go on
 *
 * A frontend can shorten the file behind a region at any time. The next access gets SIGBUS,
 * wherever in the process it happens. A mapping that is watched here gets zero pages in place of
 * the lost ones, so that the access completes, and the owner is told. SIGBUS from anywhere else
 * does what it always does.
 */
#ifndef OKL4FSD_VHOST_SIGBUS_H
#define OKL4FSD_VHOST_SIGBUS_H

#include <stdatomic.h>
#include <stdint.h>

/** sigbus_init() - install the handler; once, before any thread; Return: 0 or -errno */
int sigbus_init(void);

/**
 * sigbus_watch() - from now on survive the loss of a mapping
 * @map: first byte of the mapping
 * @bytes: its size
 * @page_bytes: page size of the mapping, a power of two
 * @lost: set when memory was lost; must stay until sigbus_unwatch()
 * @event_fd: eventfd that is written then; likewise
 *
 * Any thread. Return: 0, or -ENOSPC when the table is full.
 */
int sigbus_watch(void *map, uint64_t bytes, uint64_t page_bytes, atomic_bool *lost, int event_fd);

/** sigbus_unwatch() - forget the mapping at @map, which is no longer touched; any thread */
void sigbus_unwatch(void *map);

/**
 * sigbus_here() - from now on this owner is told of memory lost under this thread, watched or not
 * @lost: as sigbus_watch(); NULL: there is no such owner any longer
 * @event_fd: as sigbus_watch()
 *
 * A shared mapping that is not watched is replaced by zeros as a whole.
 */
void sigbus_here(atomic_bool *lost, int event_fd);

#endif
