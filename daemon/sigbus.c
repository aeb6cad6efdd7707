/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handler runs on the thread that touched the memory, in the middle of that touch. So it uses
 * only what is allowed there: atomic loads and stores of a fixed table, mmap(2) and write(2). It
 * covers everything from the faulting page to the end of the mapping, since a file loses its tail
 * when it is shortened; a second loss below that is a second signal.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sigbus.h"

/* 1024 guests (DPDK's limit) of 8 regions */
#define SIGBUS_SLOTS 8192

#define SMALL_PAGE 4096UL
#define HUGE_PAGE  (2UL << 20)

/**
 * struct sigbus_slot - one watched mapping
 * @map: its first byte; 0: free. Published last, withdrawn first
 * @bytes: its size
 * @page_bytes: its page size
 * @lost: the owner's flag
 * @event_fd: the owner's eventfd
 */
struct sigbus_slot {
	atomic_uintptr_t map;
	_Atomic uint64_t bytes;
	_Atomic uint64_t page_bytes;
	_Atomic(atomic_bool *) lost;
	atomic_int event_fd;
};

static struct sigbus_slot slots[SIGBUS_SLOTS];
static atomic_uint n_slots; /* used ones are below this */
static pthread_mutex_t slots_lock =
	PTHREAD_MUTEX_INITIALIZER; /* serialises changes, not the handler */

/* sigbus_here() */
static _Thread_local atomic_bool *here_lost;
static _Thread_local int here_fd;

/**
 * sigbus_replace() - put zero pages in place of lost memory and tell its owner
 * @from: first byte, of a page
 * @bytes: how many, whole pages
 * @lost: the owner's flag
 * @event_fd: the owner's eventfd
 *
 * Return: true when they are there.
 */
static bool sigbus_replace(uintptr_t from, uint64_t bytes, atomic_bool *lost, int event_fd)
{
	uint64_t one = 1;

	if (mmap((void *)from, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	atomic_store(lost, true);
	if (write(event_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the owner is being told already. */
	}
	return true;
}

/**
 * sigbus_cover() - put zero pages in place of lost memory, if it is watched
 * @at: the address that was touched
 *
 * Return: true when it was and they are there.
 */
static bool sigbus_cover(uintptr_t at)
{
	unsigned int n = atomic_load(&n_slots);

	for (unsigned int i = 0; i < n; i++) {
		struct sigbus_slot *s = &slots[i];
		uintptr_t map = atomic_load_explicit(&s->map, memory_order_acquire);
		uint64_t bytes = atomic_load(&s->bytes);
		uintptr_t from;

		if (!map || at < map || at - map >= bytes)
			continue;
		from = at & ~(uintptr_t)(atomic_load(&s->page_bytes) - 1);
		return sigbus_replace(from, map + bytes - from, atomic_load(&s->lost),
				      atomic_load(&s->event_fd));
	}
	if (!here_lost)
		return false;
	/* Its page size is not known here: a smaller one than the mapping's is refused. */
	return sigbus_replace(at & ~(uintptr_t)(SMALL_PAGE - 1), SMALL_PAGE, here_lost, here_fd) ||
	       sigbus_replace(at & ~(uintptr_t)(HUGE_PAGE - 1), HUGE_PAGE, here_lost, here_fd);
}

/**
 * sigbus_handler() - SIGBUS
 * @sig: SIGBUS
 * @info: where
 * @context: unused
 */
static void sigbus_handler(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	struct sigaction dfl;

	(void)context;
	/* si_code > 0: the kernel's own, for a touch of si_addr (sigaction(2)) */
	if (info->si_code <= 0 || !sigbus_cover((uintptr_t)info->si_addr)) {
		memset(&dfl, 0, sizeof(dfl));
		dfl.sa_handler = SIG_DFL;
		sigaction(sig, &dfl, NULL);
		if (info->si_code <= 0)
			raise(sig);
	}
	errno = saved_errno;
}

int sigbus_init(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = sigbus_handler;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	sigfillset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) ? -errno : 0;
}

int sigbus_watch(void *map, uint64_t bytes, uint64_t page_bytes, atomic_bool *lost, int event_fd)
{
	unsigned int i;
	int r = -ENOSPC;

	pthread_mutex_lock(&slots_lock);
	for (i = 0; i < SIGBUS_SLOTS; i++) {
		struct sigbus_slot *s = &slots[i];

		if (atomic_load(&s->map))
			continue;
		atomic_store(&s->bytes, bytes);
		atomic_store(&s->page_bytes, page_bytes);
		atomic_store(&s->lost, lost);
		atomic_store(&s->event_fd, event_fd);
		/* pairs with the acquire in sigbus_cover() */
		atomic_store_explicit(&s->map, (uintptr_t)map, memory_order_release);
		if (i >= atomic_load(&n_slots))
			atomic_store(&n_slots, i + 1);
		r = 0;
		break;
	}
	pthread_mutex_unlock(&slots_lock);
	return r;
}

void sigbus_unwatch(void *map)
{
	pthread_mutex_lock(&slots_lock);
	for (unsigned int i = 0; i < atomic_load(&n_slots); i++) {
		if (atomic_load(&slots[i].map) == (uintptr_t)map)
			atomic_store(&slots[i].map, 0);
	}
	pthread_mutex_unlock(&slots_lock);
}

void sigbus_here(atomic_bool *lost, int event_fd)
{
	here_lost = lost;
	here_fd = event_fd;
}
