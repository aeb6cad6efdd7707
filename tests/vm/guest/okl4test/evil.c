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

/* The linker makes these names of the section's */
extern const struct evil_entry *const __start_evil[], *const __stop_evil[];

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
	evil_wait_echo(dev, 1);
	expect(dev->arena[ARENA_BWD] == 0x42, "the echo is wrong");
}

COMMAND(evil, "list | NAME [channel=ID]")
{
	static struct evil_dev dev;
	bool list = strcmp(argv[0], "list") == 0;

	dev.channel = (uint32_t)parse_bytes(argument(argv, "channel", "0"));
	dev.random = parse_bytes(argument(argv, "seed", "1"));
	for (const struct evil_entry *const *at = __start_evil; at < __stop_evil; at++) {
		if (list)
			puts((*at)->name);
		if (strcmp((*at)->name, argv[0]) != 0)
			continue;
		evil_open(&dev);
		(*at)->run(&dev);
		still_works(&dev);
		printf("ok %s\n", argv[0]);
		return 0;
	}
	expect(list, "no such kind of evil: %s", argv[0]);
	return 0;
}
