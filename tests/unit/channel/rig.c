// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - a channel of the daemon with a guest that is played by the test
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "endpoint/tear.h"
#include "steps.h"

#define CTL_BYTES 4096ULL
#define PAGE      OKL4FS_PAGE_BYTES
#define LIMIT_S   20

static void on_ring(void *guest, uint32_t id)
{
	struct rig *rig = guest;

	cr_assert_eq(id, 7);
	rig->rings++;
}

static void on_tell(void *guest, const struct channel *ch, enum okl4_status status)
{
	struct rig *rig = guest;

	cr_assert_eq(ch->instance, rig->instance);
	rig->tells++;
	rig->told = status;
}

static bool on_memory_is_lost(void *guest)
{
	const struct rig *rig = guest;

	return rig->memory_is_lost;
}

static const struct channel_guest_ops guest_ops = { .ring = on_ring,
						    .tell = on_tell,
						    .memory_is_lost = on_memory_is_lost };

static void free_memory(struct rig *rig)
{
	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		free(rig->chunk[i]);
		rig->chunk[i] = NULL;
	}
	if (rig->page && rig->shared)
		munmap(rig->page, CTL_BYTES + 2 * rig->cfg.ring_bytes);
	else
		free(rig->page);
	rig->page = NULL;
}

void rig_new_memory(struct rig *rig)
{
	const uint64_t bytes[OKL4FS_N_SECS] = { CTL_BYTES, rig->cfg.ring_bytes,
						rig->cfg.ring_bytes };
	uint64_t total = CTL_BYTES + 2 * rig->cfg.ring_bytes;
	uint8_t *end;

	free_memory(rig);
	rig->page = rig->shared ? mmap(NULL, total, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0) :
				  aligned_alloc(PAGE, total);
	cr_assert(rig->page && rig->page != MAP_FAILED);
	memset(rig->page, 0xee, total);
	end = rig->page + total;
	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		uint32_t n = (uint32_t)(bytes[i] / PAGE);

		rig->chunk[i] = calloc(n, sizeof(void *));
		for (uint32_t j = 0; j < n; j++)
			rig->chunk[i][j] = end -= PAGE;
		cr_assert_eq(okl4_memsec_init(&rig->sec[i], rig->chunk[i], n, PAGE), 0);
	}
	rig->instance++;
	cr_assert_eq(okl4_socketpair_create(&rig->guest, &rig->sec[OKL4FS_SEC_CTL],
					    &rig->sec[OKL4FS_SEC_FWD], &rig->sec[OKL4FS_SEC_BWD],
					    rig->instance),
		     0);
}

void rig_restart(struct rig *rig)
{
	cr_assert_eq(channel_init(&rig->ch, &rig->cfg, rig->guest_name, 7, rig->loop, &guest_ops,
				  rig),
		     0);
	rig->ch.budget = &rig->budget;
	if (rig->cfg.endpoint.type != N_ENDPOINT_TYPES)
		cr_assert_eq(endpoint_new(&rig->ep, &rig->ch), 0);
}

void rig_init(struct rig *rig, const struct endpoint_config *endpoint, uint64_t ring_bytes)
{
	rig_init_as(rig, &(struct rig_options){ .loop = NULL }, endpoint, ring_bytes);
}

void rig_init_as(struct rig *rig, const struct rig_options *options,
		 const struct endpoint_config *endpoint, uint64_t ring_bytes)
{
	memset(rig, 0, sizeof(*rig));
	rig->loop = options->loop;
	rig->owns_loop = !rig->loop;
	if (rig->owns_loop)
		cr_assert_eq(loop_new(&rig->loop, "rig"), 0);
	rig->guest_name = options->guest ? options->guest : "vm1";
	rig->shared = options->shared;
	rig->cfg.name = (char *)(options->channel ? options->channel : "intervm_test");
	rig->cfg.ring_bytes = ring_bytes;
	if (endpoint)
		rig->cfg.endpoint = *endpoint;
	else
		rig->cfg.endpoint.type = N_ENDPOINT_TYPES;
	rig->budget.limit_bytes = CONFIG_TAIL_BYTES;
	rig->instance = 0x1234;
	rig_new_memory(rig);
	rig_restart(rig);
}

void rig_kill(struct rig *rig)
{
	rig->ep = endpoint_free(rig->ep);
	channel_deinit(&rig->ch);
}

void rig_deinit(struct rig *rig)
{
	rig_kill(rig);
	free_memory(rig);
	if (rig->owns_loop) {
		tear_end(rig->loop);
		loop_free(rig->loop);
	}
	rig->loop = NULL;
}

int rig_attach(struct rig *rig)
{
	void **chunk[OKL4FS_N_SECS];

	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		size_t bytes = rig->sec[i].n_chunks * sizeof(void *);

		chunk[i] = malloc(bytes);
		memcpy(chunk[i], rig->chunk[i], bytes);
	}
	return channel_attach(&rig->ch, rig->sec, chunk, rig->instance);
}

int64_t guest_write(struct rig *rig, const void *buf, uint64_t bytes)
{
	bool notify;
	int64_t n = okl4_pipe_write(&rig->guest.tx, buf, bytes, &notify);

	if (notify)
		channel_rung(&rig->ch);
	return n;
}

int64_t guest_read(struct rig *rig, void *buf, uint64_t bytes)
{
	bool notify;
	int64_t n = okl4_pipe_read(&rig->guest.rx, buf, bytes, &notify);

	if (notify)
		channel_rung(&rig->ch);
	return n;
}

void guest_open_write(struct rig *rig)
{
	okl4_pipe_producer_open(&rig->guest.tx);
	channel_rung(&rig->ch);
}

void guest_close_write(struct rig *rig)
{
	okl4_pipe_producer_close(&rig->guest.tx);
	channel_rung(&rig->ch);
}

void guest_open_read(struct rig *rig)
{
	okl4_pipe_consumer_open(&rig->guest.rx);
	channel_rung(&rig->ch);
}

void guest_close_read(struct rig *rig)
{
	okl4_pipe_consumer_close(&rig->guest.rx);
	channel_rung(&rig->ch);
}

void guest_sends(struct rig *rig, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, rig->out, bytes);
	cr_assert_eq(guest_write(rig, buf, bytes), (int64_t)bytes, "%s", step_text);
	rig->out += bytes;
	free(buf);
}

void guest_writes_some(struct rig *rig, uint64_t most)
{
	uint8_t *buf = malloc(most);
	int64_t n;

	pattern_fill(buf, rig->out, most);
	n = guest_write(rig, buf, most);
	cr_assert(n > 0 || n == -OKL4_AGAIN, "write: %s", okl4_status_name((int)n));
	rig->out += n > 0 ? (uint64_t)n : 0;
	free(buf);
}

int64_t guest_reads_some(struct rig *rig, uint64_t most)
{
	uint8_t *buf = malloc(most);
	int64_t n = guest_read(rig, buf, most);

	cr_assert(n >= 0 || n == -OKL4_AGAIN, "%s: %s", step_text, okl4_status_name((int)n));
	if (n > 0) {
		pattern_check(buf, rig->in, (uint64_t)n);
		rig->in += (uint64_t)n;
	}
	free(buf);
	return n;
}

void guest_gets(struct rig *rig, uint64_t bytes)
{
	for (uint64_t end = rig->in + bytes; rig->in < end;) {
		int64_t n = guest_reads_some(rig, end - rig->in);

		if (n == -OKL4_AGAIN) {
			rig_turns(rig, 3);
			n = guest_reads_some(rig, end - rig->in);
		}
		cr_assert_gt(n, 0, "%s: %s, %" PRIu64 " bytes are missing", step_text,
			     okl4_status_name((int)n), end - rig->in);
	}
}

void guest_sees(struct rig *rig, int64_t want)
{
	uint8_t byte;
	int64_t n;

	rig_turns(rig, 3);
	n = guest_read(rig, &byte, 1);
	cr_assert_eq(n, want, "%s: %lld, not %lld", step_text, (long long)n, (long long)want);
}

struct endpoint_info rig_info(const struct rig *rig)
{
	struct endpoint_info info;

	rig->ep->ops->info(rig->ep, &info);
	return info;
}

void rig_refuses(const struct endpoint_config *endpoint, int error)
{
	struct endpoint *ep;
	struct rig rig;

	rig_init(&rig, NULL, 4096);
	rig.cfg.endpoint = *endpoint;
	cr_assert_eq(endpoint_new(&ep, &rig.ch), error, "%s", endpoint->file ? endpoint->file : "");
	cr_assert_null(ep);
	rig.cfg.endpoint.type = N_ENDPOINT_TYPES;
	rig_deinit(&rig);
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What rig_until() waits for; without @cond: so many rounds */
struct wait {
	struct rig *rig;
	struct loop_task task;
	bool (*cond)(void *arg);
	void *arg;
	unsigned int turns;
	uint64_t deadline_ms;
};

static void look_for_end(void *arg)
{
	struct wait *wait = arg;
	bool over = wait->cond ? wait->cond(wait->arg) : !wait->turns--;

	if (over || clock_ms(CLOCK_MONOTONIC) > wait->deadline_ms)
		loop_stop(wait->rig->loop);
	else
		loop_schedule(wait->rig->loop, &wait->task);
}

static void run_loop(struct wait *wait)
{
	wait->task = (struct loop_task){ .fn = look_for_end, .arg = wait };
	wait->deadline_ms = clock_ms(CLOCK_MONOTONIC) + LIMIT_S * 1000;
	loop_schedule(wait->rig->loop, &wait->task);
	cr_assert_eq(loop_run(wait->rig->loop), 0);
}

void rig_until(struct rig *rig, bool (*cond)(void *arg), void *arg, const char *what)
{
	struct wait wait = { .rig = rig, .cond = cond, .arg = arg };

	run_loop(&wait);
	cr_assert(cond(arg), "waited for %d s: %s", LIMIT_S, what);
}

void rig_turns(struct rig *rig, unsigned int turns)
{
	struct wait wait = { .rig = rig, .turns = turns };

	run_loop(&wait);
}

static void on_cpu_time(evutil_socket_t fd, short what, void *arg)
{
	struct rig *rig = arg;

	loop_stop(rig->loop);
}

unsigned int rig_cpu_ms(struct rig *rig, unsigned int ms)
{
	struct timeval limit = { .tv_usec = ms * 1000 };
	struct event *timer = event_new(loop_base(rig->loop), -1, 0, on_cpu_time, rig);
	uint64_t before;

	rig_turns(rig, 3);
	event_add(timer, &limit);
	before = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	cr_assert_eq(loop_run(rig->loop), 0);
	event_free(timer);
	return (unsigned int)(clock_ms(CLOCK_THREAD_CPUTIME_ID) - before);
}

void pattern_fill(uint8_t *buf, uint64_t pos, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		buf[i] = pattern(pos + i);
}

void pattern_check(const uint8_t *buf, uint64_t pos, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (buf[i] != pattern(pos + i))
			cr_assert_fail("byte %" PRIu64 " of the stream is wrong", pos + i);
}

uint64_t rng_below(uint64_t *state, uint64_t limit)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % limit;
}

uint64_t rng_seeded(const char *test)
{
	const char *given = getenv("OKL4FS_TEST_SEED");
	uint64_t seed = 0;

	if (given && *given)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		cr_assert_fail("no random numbers");
	fprintf(stderr, "%s: OKL4FS_TEST_SEED=0x%" PRIx64 "\n", test, seed);
	return seed;
}
