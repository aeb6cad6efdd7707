// SPDX-License-Identifier: BSD-3-Clause
/*
 * speed.c - measuring over one open target, by commands from stdin
 *
 * Both ends run `okl4test peer TARGET` and get matching commands, one per line:
 *   source PIECE BYTES     write BYTES in calls of PIECE; answers with the rate of the writer
 *   sink PIECE BYTES       read BYTES in calls of at most PIECE; answers with that of the reader
 *   ping PIECE COUNT       COUNT times: write PIECE, read PIECE; answers with the round trip
 *   pong PIECE COUNT       COUNT times: read PIECE, write PIECE
 * Each answers with one line: "done", "done MIBS mib_s" or "done P50 P99 us". The reader measures
 * from its first bytes to its last, so that the start of the other end is not included.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "target.h"
#include "util.h"

#define MAX_PIECE (1U << 20)

static char buffer[MAX_PIECE];

/* tell_rate() - answer with @bytes since @start */
static void tell_rate(uint64_t bytes, uint64_t start)
{
	printf("done %.2f mib_s\n",
	       (double)bytes / 1048576.0 * 1e9 / (double)(now_ns() - start + 1));
}

/* source() - write @bytes in calls of @piece, and print the rate */
static void source(struct target *t, size_t piece, uint64_t bytes)
{
	uint64_t start = now_ns();

	for (uint64_t done = 0; done < bytes; done += piece)
		write_all(t->tx, buffer, piece);
	tell_rate(bytes, start);
}

/* sink() - read @bytes in calls of at most @piece, and print the rate */
static void sink(struct target *t, size_t piece, uint64_t bytes)
{
	uint64_t start = 0, first = 0, done = 0;

	while (done < bytes) {
		size_t want = bytes - done < piece ? (size_t)(bytes - done) : piece;
		ssize_t n = read(t->rx, buffer, want);

		expect(n > 0, "read returned %zd: %m", n);
		done += (uint64_t)n;
		if (!start) {
			start = now_ns();
			first = done;
		}
	}
	tell_rate(done - first, start);
}

/* by_value() - for qsort() */
static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ping() - @count round trips of @piece bytes */
static void ping(struct target *t, size_t piece, uint64_t count)
{
	uint64_t *ns = calloc(count, sizeof(*ns)), p50, p99;

	expect(ns && count, "ping: out of memory, or no count");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = now_ns();

		write_all(t->tx, buffer, piece);
		read_all(t->rx, buffer, piece);
		ns[i] = now_ns() - start;
	}
	qsort(ns, count, sizeof(*ns), by_value);
	p50 = ns[count / 2];
	p99 = ns[count * 99 / 100];
	printf("done %.1f %.1f us\n", (double)p50 / 1000.0, (double)p99 / 1000.0);
	free(ns);
}

/* pong() - the other end of ping() */
static void pong(struct target *t, size_t piece, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		read_all(t->rx, buffer, piece);
		write_all(t->tx, buffer, piece);
	}
	puts("done");
}

static const struct {
	const char *name;
	void (*run)(struct target *t, size_t piece, uint64_t amount);
} verbs[] = { { "source", source }, { "sink", sink }, { "ping", ping }, { "pong", pong } };

/* obey() - carry out one command line */
static void obey(struct target *t, const char *line)
{
	char verb[16], piece[32], amount[32];

	expect(sscanf(line, "%15s %31s %31s", verb, piece, amount) == 3, "not a command: %s", line);
	expect(parse_bytes(piece) >= 1 && parse_bytes(piece) <= MAX_PIECE, "piece: %s", piece);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].name) == 0) {
			verbs[i].run(t, (size_t)parse_bytes(piece), parse_bytes(amount));
			return;
		}
	}
	fail("no such command: %s", verb);
}

COMMAND(peer, "TARGET")
{
	struct target target;
	char line[128];

	target_open(&target, argv[0], true, true);
	memset(buffer, 0x5a, sizeof(buffer));
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		obey(&target, line);
	target_close(&target);
	return 0;
}
