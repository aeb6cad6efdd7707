// SPDX-License-Identifier: BSD-3-Clause
/*
 * evil.c - a hostile guest; each kind of hostility has a name
 *
 * Each kind misuses a device that was set up properly before, and compares what the host answers
 * with what it must answer. It prints `fails NAME: SENTENCE`, which the daemon's counters and log
 * must have, too. At the end it attaches properly once more: the device must work as if new.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "evil.h"
#include "pattern.h"

#define SENTENCE(name, number, sentence) [number] = (sentence),
#define NAME(name, number, sentence)     [number] = #name,

static const char *const sentences[OKL4_STATUS_END] = { OKL4_STATUS_LIST(SENTENCE) };
static const char *const names[OKL4_STATUS_END] = { OKL4_STATUS_LIST(NAME) };

static const struct evil_entry *const tables[] = { evil_shm, evil_header_fields, evil_requests,
						   evil_rings };

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

void evil_refused(int status, enum okl4_status wanted)
{
	expect(status == (int)wanted, "the host says %d (%s), not %d (%s)", status,
	       status < OKL4_STATUS_END && sentences[status] ? sentences[status] : "?", wanted,
	       sentences[wanted]);
}

void evil_channel_fails(struct evil_dev *dev, enum okl4_status wanted)
{
	evil_ring(dev);
	evil_refused(evil_wait_failed(dev), wanted);
	printf("fails %s: %s\n", names[wanted], sentences[wanted]);
}

/* still_works() - a good driver can set up the device, and a byte goes through the echo */
static void still_works(struct evil_dev *dev)
{
	struct okl4_pipe_shm *fwd, *bwd;
	uint64_t end = now_ns() + 10000000000ULL;

	evil_reset(dev);
	evil_attach(dev);
	fwd = evil_pipe(dev, 0);
	bwd = evil_pipe(dev, 1);
	bwd->consumer.phase = 1;
	bwd->consumer.data_event = 0;
	dev->arena[ARENA_FWD] = 0x42;
	fwd->producer.phase = 1;
	__atomic_store_n(&fwd->producer.head, 1, __ATOMIC_RELEASE);
	evil_ring(dev);
	while (__atomic_load_n(&bwd->producer.head, __ATOMIC_ACQUIRE) != 1)
		expect(now_ns() < end, "the device no longer works: no echo");
	expect(dev->arena[ARENA_BWD] == 0x42, "the echo is wrong");
}

/* list_evil() - print the names of all kinds */
static int list_evil(void)
{
	for (size_t i = 0; i < N_TABLES; i++) {
		for (const struct evil_entry *entry = tables[i]; entry->name; entry++)
			puts(entry->name);
	}
	return 0;
}

int cmd_evil(char **argv)
{
	static struct evil_dev dev;

	if (strcmp(argv[0], "list") == 0)
		return list_evil();
	dev.channel = (uint32_t)parse_bytes(argument(argv, "channel", "0"));
	dev.random = parse_bytes(argument(argv, "seed", "1"));
	for (size_t i = 0; i < N_TABLES; i++) {
		for (const struct evil_entry *entry = tables[i]; entry->name; entry++) {
			if (strcmp(entry->name, argv[0]) != 0)
				continue;
			evil_open(&dev);
			entry->run(&dev);
			still_works(&dev);
			printf("ok %s\n", entry->name);
			return 0;
		}
	}
	fail("no such kind of evil: %s", argv[0]);
}
