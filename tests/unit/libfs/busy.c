// SPDX-License-Identifier: BSD-3-Clause
/*
 * busy.c - channels under load: two threads (also for ThreadSanitizer), and two processes
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "busy_side.h"
#include "rig.h"

#if defined(__SANITIZE_THREAD__)
#define THREAD_BYTES  (4ULL << 20)
#define PROCESS_BYTES (16ULL << 20)
#elif defined(__SANITIZE_ADDRESS__)
#define THREAD_BYTES  (16ULL << 20)
#define PROCESS_BYTES (128ULL << 20)
#else
#define THREAD_BYTES  (64ULL << 20)
#define PROCESS_BYTES (4ULL << 30)
#endif

#define INSTANCE  42
#define CTL_BYTES 4096ULL

static void check_reports(const struct busy_report *a, const struct busy_report *b, uint64_t total)
{
	fprintf(stderr, "slept %" PRIu64 " + %" PRIu64 " times, woke %" PRIu64 " + %" PRIu64 "\n",
		a->n_sleeps, b->n_sleeps, a->n_notified, b->n_notified);
	cr_assert_str_eq(a->problem, "");
	cr_assert_str_eq(b->problem, "");
	cr_assert_eq(a->sent.bytes, total);
	cr_assert_eq(b->sent.bytes, total);
	cr_assert_eq(a->got.bytes, total);
	cr_assert_eq(b->got.bytes, total);
	cr_assert_eq(a->got.hash, b->sent.hash);
	cr_assert_eq(b->got.hash, a->sent.hash);
	cr_assert_neq(a->got.hash, b->got.hash);
}

/* Two sides that wake each other; their ends are still to be set */
static void sides_init(struct busy_side side[2], struct busy_report report[2], uint64_t total,
		       uint64_t most, struct rng *rng)
{
	int fd[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) }, i;

	for (i = 0; i < 2; i++)
		side[i] = (struct busy_side){ .wake_me = fd[i],
					      .wake_peer = fd[1 - i],
					      .total = total,
					      .most = most,
					      .seed = rng_next(rng),
					      .report = &report[i] };
}

static void *side_thread(void *side)
{
	busy_side_run(side);
	return NULL;
}

static void two_threads(uint64_t ring_bytes, uint64_t most, uint64_t total, enum layout layout,
			struct rng *rng)
{
	struct busy_report report[2];
	struct rig_sec ctl, fwd, bwd;
	struct okl4_socketpair end[2];
	struct busy_side side[2];
	pthread_t thread;

	rig_sec_init(&ctl, CTL_BYTES, 4096, layout, rng);
	rig_sec_init(&fwd, ring_bytes, 4096, layout, rng);
	rig_sec_init(&bwd, ring_bytes, 4096, layout, rng);
	require_status(okl4_socketpair_create(&end[0], &ctl.sec, &fwd.sec, &bwd.sec, INSTANCE), 0);
	require_status(okl4_socketpair_attach(&end[1], &ctl.sec, &fwd.sec, &bwd.sec, INSTANCE), 0);
	sides_init(side, report, total, most, rng);
	side[0].end = &end[0];
	side[1].end = &end[1];
	cr_assert_eq(pthread_create(&thread, NULL, side_thread, &side[1]), 0);
	busy_side_run(&side[0]);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	check_reports(&report[0], &report[1], total);
	close(side[0].wake_me);
	close(side[1].wake_me);
	rig_sec_deinit(&ctl);
	rig_sec_deinit(&fwd);
	rig_sec_deinit(&bwd);
}

Test(libfs_busy, threads_in_the_smallest_ring, .timeout = 120)
{
	struct rng rng;

	rng_init(&rng, "libfs_busy/threads_in_the_smallest_ring");
	two_threads(4096, 4096, THREAD_BYTES, LAYOUT_ADJACENT, &rng);
	two_threads(4096, 700, THREAD_BYTES / 8, LAYOUT_ADJACENT, &rng);
	two_threads(4096, 5, THREAD_BYTES / 512, LAYOUT_ADJACENT, &rng);
}

Test(libfs_busy, threads_in_scattered_chunks, .timeout = 120)
{
	struct rng rng;

	rng_init(&rng, "libfs_busy/threads_in_scattered_chunks");
	two_threads(65536, 40000, 4 * THREAD_BYTES, LAYOUT_SCATTERED, &rng);
	two_threads(1 << 20, 65536, 4 * THREAD_BYTES, LAYOUT_REVERSED, &rng);
}

/* Three memsections of one chunk each, in a new mapping of a memfd */
static struct okl4_socketpair *map_end(int memfd, uint64_t ring_bytes, bool host)
{
	static struct okl4_socketpair end;
	static struct okl4_memsec sec[3];
	static void *chunk[3];
	uint8_t *at = mmap(NULL, 2 * ring_bytes + CTL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			   memfd, 0);
	int i;

	if (at == MAP_FAILED)
		return NULL;
	for (i = 0; i < 3; i++) {
		chunk[i] = i < 2 ? at + (uint64_t)i * ring_bytes : at + 2 * ring_bytes;
		if (okl4_memsec_init(&sec[i], &chunk[i], 1, i < 2 ? ring_bytes : CTL_BYTES))
			return NULL;
	}
	if ((host ? okl4_socketpair_attach : okl4_socketpair_create)(&end, &sec[2], &sec[0],
								     &sec[1], INSTANCE))
		return NULL;
	return &end;
}

/* 4 GiB in each direction at once; the processes share only a memfd and two eventfds */
Test(libfs_busy, two_processes_over_a_memfd, .timeout = 240)
{
	uint64_t ring_bytes = 1 << 20;
	struct busy_side side[2];
	struct busy_report *report;
	int memfd, status;
	struct rng rng;
	pid_t child;

	rng_init(&rng, "libfs_busy/two_processes_over_a_memfd");
	memfd = memfd_create("libfs_busy", MFD_CLOEXEC);
	cr_assert_geq(memfd, 0);
	cr_assert_eq(ftruncate(memfd, (off_t)(2 * ring_bytes + CTL_BYTES)), 0);
	report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(report, MAP_FAILED);
	sides_init(side, report, PROCESS_BYTES, 65536, &rng);
	side[0].end = map_end(memfd, ring_bytes, false);
	cr_assert_not_null(side[0].end);

	child = fork();
	if (!child) {
		side[1].end = map_end(memfd, ring_bytes, true);
		if (!side[1].end)
			_exit(1);
		busy_side_run(&side[1]);
		_exit(0);
	}
	cr_assert_gt(child, 0);
	busy_side_run(&side[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	check_reports(&report[0], &report[1], PROCESS_BYTES);
}
