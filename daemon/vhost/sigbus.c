/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handler runs on the thread that touched the memory, in the middle of that access. So it uses
 * only what is allowed there: atomic loads and stores of a fixed table, mmap(2), write(2) and
 * pread(2). It replaces everything from the faulting page to the end of the mapping, since a file
 * loses its tail when it is shortened; a second loss below that is a second signal. Nothing outside
 * of the mapping that faulted is ever replaced, whatever its page size is said to be.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost/sigbus.h"

/* 1024 guests (DPDK's limit) of 8 regions */
#define SIGBUS_SLOTS 8192

/* One watched mapping; the arguments of sigbus_watch() */
struct sigbus_slot {
	atomic_uintptr_t map; /* 0: free. Published last, withdrawn first */
	_Atomic uint64_t bytes;
	_Atomic uint64_t page_bytes;
	_Atomic(atomic_bool *) lost;
	atomic_int event_fd;
};

static struct sigbus_slot slots[SIGBUS_SLOTS];
static atomic_uint n_slots; /* used ones are below this */
/* Serialises changes; the handler does not take it. */
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static int maps_fd = -1; /* /proc/self/maps */

/* sigbus_here() */
static _Thread_local atomic_bool *here_lost;
static _Thread_local int here_fd;

static bool sigbus_replace(uintptr_t from, uint64_t bytes, atomic_bool *lost, int event_fd)
{
	uint64_t one = 1;

	if (mmap((void *)from, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	atomic_store(lost, true);
	if (write(event_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: the owner is already being told. */
	}
	return true;
}

/* A line of /proc/self/maps, as far as it has been read: "7f00-7f10 rw-s ..." */
struct maps_line {
	uintptr_t from, to;
	unsigned int field; /* 0: @from, 1: @to, then the permissions' place + 2 */
	bool shared;
};

/* Return: true when @line, with this byte, is the mapping that @at lies in. */
static bool maps_take(struct maps_line *line, char c, uintptr_t at)
{
	uintptr_t digit = (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);

	if (c == '\n') {
		*line = (struct maps_line){ 0 };
		return false;
	}
	if (line->field == 0 && c != '-')
		line->from = line->from << 4 | digit;
	else if (line->field == 1 && c != ' ')
		line->to = line->to << 4 | digit;
	else
		line->field++;
	if (line->field == 6)
		line->shared = c == 's';
	return line->field == 6 && at >= line->from && at < line->to;
}

/* For a mapping that is not watched yet */
static bool find_shared(uintptr_t at, uintptr_t *from, uint64_t *bytes)
{
	struct maps_line line = { 0 };
	char buf[1024];
	off_t pos = 0;
	ssize_t n;

	while ((n = pread(maps_fd, buf, sizeof(buf), pos)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (!maps_take(&line, buf[i], at))
				continue;
			*from = line.from;
			*bytes = line.to - line.from;
			return line.shared;
		}
		pos += n;
	}
	return false;
}

/* Replaces only memory that has an owner: watched, or named by sigbus_here(). */
static bool sigbus_cover(uintptr_t at)
{
	unsigned int n = atomic_load(&n_slots);
	uintptr_t from;
	uint64_t bytes;

	for (unsigned int i = 0; i < n; i++) {
		struct sigbus_slot *s = &slots[i];
		uintptr_t map = atomic_load_explicit(&s->map, memory_order_acquire);

		bytes = atomic_load(&s->bytes);
		if (!map || at < map || at - map >= bytes)
			continue;
		from = at & ~(uintptr_t)(atomic_load(&s->page_bytes) - 1);
		if (from < map)
			from = map;
		return sigbus_replace(from, map + bytes - from, atomic_load(&s->lost),
				      atomic_load(&s->event_fd));
	}
	/* The whole mapping, since its page size is not known here. */
	return here_lost && find_shared(at, &from, &bytes) &&
	       sigbus_replace(from, bytes, here_lost, here_fd);
}

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

	maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = sigbus_handler;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	sigfillset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL) ? -errno : 0;
}

int sigbus_watch(void *map, uint64_t bytes, uint64_t page_bytes, atomic_bool *lost, int event_fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned int i;
	int r = -ENOSPC;

	pthread_mutex_lock(&slots_lock);
	for (i = 0; i < SIGBUS_SLOTS; i++) {
		struct sigbus_slot *s = &slots[i];

		if (atomic_load(&s->map))
			continue;
		atomic_store(&s->bytes, (bytes + page - 1) / page * page); /* as mmap(2) does */
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
