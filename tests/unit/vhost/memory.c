// SPDX-License-Identifier: BSD-3-Clause
/*
 * memory.c - the region table, and memory that is taken away
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost/memory.h"
#include "vhost/sigbus.h"

#define PAGE 4096ULL

static uint8_t low[4 * PAGE], high[2 * PAGE];

/* Two regions with a hole between them */
static struct guest_memory table(void)
{
	struct guest_memory mem = { .n_regions = 2 };

	mem.region[0] = (struct guest_region){
		.gpa = 0, .user_addr = 0x7000000, .bytes = sizeof(low), .hva = low
	};
	mem.region[1] = (struct guest_region){
		.gpa = 1ULL << 32, .user_addr = 0x9000000, .bytes = sizeof(high), .hva = high
	};
	return mem;
}

Test(daemon_guest_memory, at)
{
	struct guest_memory mem = table();
	uint64_t top = 1ULL << 32;

	cr_assert_eq(guest_memory_at(&mem, 0, 1), low);
	cr_assert_eq(guest_memory_at(&mem, 0, sizeof(low)), low);
	cr_assert_eq(guest_memory_at(&mem, 100, 8), low + 100);
	cr_assert_eq(guest_memory_at(&mem, top + PAGE, PAGE), high + PAGE);
	cr_assert_null(guest_memory_at(&mem, 0, 0));
	cr_assert_null(guest_memory_at(&mem, 0, sizeof(low) + 1));
	cr_assert_null(guest_memory_at(&mem, sizeof(low), 1));
	cr_assert_null(guest_memory_at(&mem, sizeof(low) - 1, 2));
	cr_assert_null(guest_memory_at(&mem, top - 1, 2));
	cr_assert_null(guest_memory_at(&mem, top, UINT64_MAX));
	cr_assert_null(guest_memory_at(&mem, UINT64_MAX, 1));
	cr_assert_null(guest_memory_at(&mem, UINT64_MAX, UINT64_MAX));
	mem.n_regions = 0;
	cr_assert_null(guest_memory_at(&mem, 0, 1));
}

Test(daemon_guest_memory, span)
{
	struct guest_memory mem = table();
	uint64_t bytes = 10;

	cr_assert_eq(guest_memory_span(&mem, sizeof(low) - 4, &bytes), low + sizeof(low) - 4);
	cr_assert_eq(bytes, 4);
	bytes = UINT64_MAX;
	cr_assert_eq(guest_memory_span(&mem, 1ULL << 32, &bytes), high);
	cr_assert_eq(bytes, sizeof(high));
	bytes = 1;
	cr_assert_null(guest_memory_span(&mem, sizeof(low), &bytes));
	cr_assert_eq(bytes, 0);
}

Test(daemon_guest_memory, gpa)
{
	struct guest_memory mem = table();
	uint64_t gpa;

	cr_assert(guest_memory_gpa(&mem, high + 5, 3, &gpa));
	cr_assert_eq(gpa, (1ULL << 32) + 5);
	cr_assert(guest_memory_gpa(&mem, low, sizeof(low), &gpa));
	cr_assert_eq(gpa, 0);
	cr_assert_not(guest_memory_gpa(&mem, low + 1, sizeof(low), &gpa));
	cr_assert_not(guest_memory_gpa(&mem, low, 0, &gpa));
	cr_assert_not(guest_memory_gpa(&mem, NULL, 1, &gpa));
	cr_assert_not(guest_memory_gpa(&mem, &mem, 1, &gpa));
	cr_assert_not(guest_memory_gpa(&mem, (void *)UINTPTR_MAX, UINT64_MAX, &gpa));
}

Test(daemon_guest_memory, bytes)
{
	struct guest_memory mem = table();

	cr_assert_eq(guest_memory_bytes(&mem), 6 * PAGE);
}

static const char *check_one(uint64_t gpa, uint64_t user_addr, uint64_t bytes)
{
	struct guest_region r = { .gpa = gpa, .user_addr = user_addr, .bytes = bytes };

	return guest_memory_check(&r, 1);
}

Test(daemon_guest_memory, sound_regions)
{
	cr_assert_null(check_one(0, 0, PAGE));
	cr_assert_null(check_one(-PAGE, -PAGE, PAGE));
	cr_assert_null(check_one(PAGE, PAGE, -PAGE));
	cr_assert_not_null(check_one(0, 0, 0));
	cr_assert_not_null(check_one(1, 0, PAGE));
	cr_assert_not_null(check_one(0, 2048, PAGE));
	cr_assert_not_null(check_one(0, 0, PAGE + 1));
	cr_assert_not_null(check_one(-PAGE, 0, 2 * PAGE));
	cr_assert_not_null(check_one(0, -PAGE, 2 * PAGE));
	cr_assert_not_null(check_one(2 * PAGE, 0, -PAGE));
}

Test(daemon_guest_memory, numbers_of_regions)
{
	struct guest_region r[9];

	for (unsigned int i = 0; i < 9; i++)
		r[i] = (struct guest_region){ .gpa = i * PAGE,
					      .user_addr = i * PAGE,
					      .bytes = PAGE };
	cr_assert_not_null(guest_memory_check(r, 0));
	for (unsigned int n = 1; n <= 8; n++)
		cr_assert_null(guest_memory_check(r, n));
	cr_assert_not_null(guest_memory_check(r, 9));
}

Test(daemon_guest_memory, every_pair_is_compared)
{
	for (unsigned int i = 0; i < 8; i++) {
		for (unsigned int j = 0; j < 8; j++) {
			struct guest_region r[8];

			for (unsigned int k = 0; k < 8; k++)
				r[k] = (struct guest_region){ .gpa = 4 * k * PAGE,
							      .user_addr = 4 * k * PAGE,
							      .bytes = 2 * PAGE };
			r[i].gpa = r[j].gpa + PAGE;
			cr_assert_eq(!guest_memory_check(r, 8), i == j, "%u %u", i, j);
			r[i].gpa = 100 * PAGE;
			cr_assert_null(guest_memory_check(r, 8));
			r[i].user_addr = r[j].user_addr - PAGE;
			if (j)
				cr_assert_eq(!guest_memory_check(r, 8), i == j, "%u %u", i, j);
		}
	}
}

/* A mapping of 4 pages, of a file that was made shorter */
struct lost {
	int fd, event_fd;
	uint8_t *map;
	atomic_bool lost;
};

/* The mapping is full of ones; its file then keeps @pages of 4. */
static void lost_set_up(struct lost *l, unsigned int pages)
{
	cr_assert_eq(sigbus_init(), 0);
	l->lost = false;
	l->event_fd = eventfd(0, EFD_NONBLOCK);
	l->fd = memfd_create("test", 0);
	cr_assert_eq(ftruncate(l->fd, 4 * PAGE), 0);
	l->map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
	memset(l->map, 1, 4 * PAGE);
	cr_assert_eq(ftruncate(l->fd, (off_t)(pages * PAGE)), 0);
}

/* The owner was told, once. */
static void lost_told(struct lost *l, bool told)
{
	eventfd_t n = 0;

	cr_assert_eq(atomic_load(&l->lost), told);
	cr_assert_eq(eventfd_read(l->event_fd, &n) == 0, told);
	l->lost = false;
}

Test(daemon_sigbus, watched_memory_reads_as_zero)
{
	struct lost l;
	unsigned int sum = 0;

	lost_set_up(&l, 2);
	cr_assert_eq(sigbus_watch(l.map, 4 * PAGE, PAGE, &l.lost, l.event_fd), 0);
	for (unsigned int i = 0; i < 2 * PAGE; i++)
		sum += ((volatile uint8_t *)l.map)[i];
	cr_assert_eq(sum, 2 * PAGE);
	lost_told(&l, false);
	for (unsigned int i = 2 * PAGE; i < 4 * PAGE; i++)
		sum += ((volatile uint8_t *)l.map)[i];
	cr_assert_eq(sum, 2 * PAGE);
	lost_told(&l, true);
	((volatile uint8_t *)l.map)[3 * PAGE] = 7;
	lost_told(&l, false);
	/* A loss below that is told again. */
	cr_assert_eq(ftruncate(l.fd, 0), 0);
	cr_assert_eq(((volatile uint8_t *)l.map)[0], 0);
	lost_told(&l, true);
	sigbus_unwatch(l.map);
}

Test(daemon_sigbus, neighbours_are_not_blamed)
{
	struct lost l[3];

	for (int i = 0; i < 3; i++) {
		lost_set_up(&l[i], i == 1 ? 0 : 4);
		cr_assert_eq(sigbus_watch(l[i].map, 4 * PAGE, PAGE, &l[i].lost, l[i].event_fd), 0);
	}
	cr_assert_eq(((volatile uint8_t *)l[1].map)[PAGE], 0);
	lost_told(&l[0], false);
	lost_told(&l[1], true);
	lost_told(&l[2], false);
}

/* Three mappings of one page each, side by side, full of ones; each has its own file. */
static uint8_t *neighbours(int fd[3])
{
	uint8_t *map = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 3; i++) {
		fd[i] = memfd_create("test", 0);
		cr_assert_eq(ftruncate(fd[i], PAGE), 0);
		cr_assert_neq(mmap(map + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, fd[i], 0),
			      MAP_FAILED);
	}
	memset(map, 1, 3 * PAGE);
	return map;
}

Test(daemon_sigbus, neighbours_are_not_replaced)
{
	/* The third is watched as if its pages were larger than it is. */
	for (unsigned int way = 0; way < 3; way++) {
		atomic_bool lost = false;
		uint8_t *map;
		int fd[3];

		cr_assert_eq(sigbus_init(), 0);
		map = neighbours(fd);
		if (way)
			cr_assert_eq(sigbus_watch(map + PAGE, PAGE, way == 1 ? PAGE : 1ULL << 30,
						  &lost, -1),
				     0);
		else
			sigbus_here(&lost, -1);
		cr_assert_eq(ftruncate(fd[1], 0), 0);
		cr_assert_eq(*(volatile uint8_t *)(map + PAGE), 0);
		cr_assert(lost);
		*(volatile uint8_t *)map = 3;
		*(volatile uint8_t *)(map + 2 * PAGE) = 5;
		for (int i = 0; i < 3; i += 2) {
			uint8_t byte = 0;

			cr_assert_eq(pread(fd[i], &byte, 1, 0), 1);
			cr_assert_eq(byte, 3 + i, "way %u: mapping %d is another one", way, i);
		}
		sigbus_here(NULL, -1);
		sigbus_unwatch(map + PAGE);
	}
}

Test(daemon_sigbus, memory_of_our_own_is_not_covered, .signal = SIGBUS)
{
	atomic_bool lost = false;
	int fd = memfd_create("test", 0);
	uint8_t *map;

	cr_assert_eq(sigbus_init(), 0);
	cr_assert_eq(ftruncate(fd, PAGE), 0);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_assert_eq(ftruncate(fd, 0), 0);
	sigbus_here(&lost, -1);
	cr_assert_eq(*(volatile uint8_t *)map, 0, "a private mapping was replaced");
}

static void *touch(void *arg)
{
	return (void *)(uintptr_t)(*(volatile uint8_t *)arg + 1);
}

Test(daemon_sigbus, any_thread)
{
	struct lost l;
	pthread_t thread;
	void *result;

	lost_set_up(&l, 0);
	cr_assert_eq(sigbus_watch(l.map, 4 * PAGE, PAGE, &l.lost, l.event_fd), 0);
	cr_assert_eq(pthread_create(&thread, NULL, touch, l.map + PAGE), 0);
	cr_assert_eq(pthread_join(thread, &result), 0);
	cr_assert_eq((uintptr_t)result, 1);
	lost_told(&l, true);
}

Test(daemon_sigbus, here)
{
	struct lost l;

	lost_set_up(&l, 0);
	sigbus_here(&l.lost, l.event_fd);
	cr_assert_eq(((volatile uint8_t *)l.map)[PAGE], 0);
	lost_told(&l, true);
	sigbus_here(NULL, -1);
}

Test(daemon_sigbus, unwatched_memory_is_as_ever, .signal = SIGBUS)
{
	struct lost l;

	lost_set_up(&l, 0);
	cr_assert_eq(sigbus_watch(l.map, 4 * PAGE, PAGE, &l.lost, l.event_fd), 0);
	sigbus_unwatch(l.map);
	touch(l.map);
}

Test(daemon_sigbus, a_sent_signal_is_as_ever, .signal = SIGBUS)
{
	struct lost l;

	lost_set_up(&l, 0);
	cr_assert_eq(sigbus_watch(l.map, 4 * PAGE, PAGE, &l.lost, l.event_fd), 0);
	raise(SIGBUS);
}

Test(daemon_sigbus, the_table_has_an_end)
{
	atomic_bool lost;
	uintptr_t n = 0;

	while (!sigbus_watch((void *)((n + 1) * PAGE), PAGE, PAGE, &lost, -1))
		n++;
	cr_assert_eq(n, 8192);
	sigbus_unwatch((void *)(PAGE * 77));
	cr_assert_eq(sigbus_watch((void *)(PAGE * 77), PAGE, PAGE, &lost, -1), 0);
	cr_assert_neq(sigbus_watch((void *)PAGE, PAGE, PAGE, &lost, -1), 0);
}
