// SPDX-License-Identifier: BSD-3-Clause
/*
 * seq.c - records with sequence numbers through an echo
 *
 * A writer sends records 0, 1, 2, ... of random lengths; a reader takes them back and compares
 * each with what it must be. A byte that is lost, doubled or out of order breaks the framing or the
 * number of the next record, which is reported. `progress` lines let a test interfere at a known
 * place in the stream, and say for how long at most no byte came since the last one. What an earlier run left in the echo is skipped: the stream begins with a
 * mark of this run.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "target.h"
#include "util.h"

#define RECORD_MAGIC 0x5345514fU
#define MAX_RECORD   (64U << 10)
#define MARK_BYTES   32

/** struct record - head of a record; its payload is the pattern of (seed + number) */
struct record {
	uint32_t magic;
	uint32_t bytes;
	uint64_t number;
};

/**
 * struct seq - one run
 * @target: open both ways
 * @records: how many
 * @max: longest payload
 * @seed: of lengths and payloads
 * @progress: print a line after each that many records; 0: never
 * @heard_ns: when bytes came last; 0: never
 * @gap_ns: the longest time without any since the last progress line
 * @mark: what the stream begins with
 * @ahead: bytes read, of which those from @from to @to are not used yet
 */
struct seq {
	struct target target;
	uint64_t records;
	size_t max;
	uint64_t seed;
	uint64_t progress;
	uint64_t heard_ns, gap_ns;
	char mark[MARK_BYTES];
	char ahead[MAX_RECORD];
	size_t from, to;
};

/* seq_write() - the writing thread */
static void *seq_write(void *arg)
{
	struct seq *seq = arg;
	uint64_t random = seq->seed;
	char *buf = malloc(sizeof(struct record) + MAX_RECORD);
	struct record *head = (struct record *)buf;

	write_all(seq->target.tx, seq->mark, MARK_BYTES);
	for (uint64_t i = 0; i < seq->records; i++) {
		*head = (struct record){ .magic = RECORD_MAGIC, .number = i };
		head->bytes = (uint32_t)random_size(&random, seq->max);
		pattern_fill(buf + sizeof(*head), seq->seed + i, 0, head->bytes);
		write_all(seq->target.tx, buf, sizeof(*head) + head->bytes);
	}
	free(buf);
	return NULL;
}

/* refill() - read more when everything is used; Return: false at an end-of-file */
static bool refill(struct seq *seq)
{
	uint64_t now;
	ssize_t n;

	if (seq->from < seq->to)
		return true;
	n = read(seq->target.rx, seq->ahead, sizeof(seq->ahead));
	expect(n >= 0, "read: %m");
	now = now_ns();
	if (seq->heard_ns && now - seq->heard_ns > seq->gap_ns)
		seq->gap_ns = now - seq->heard_ns;
	seq->heard_ns = now;
	seq->from = 0;
	seq->to = (size_t)n;
	return n > 0;
}

/* take() - the next @bytes of the stream */
static void take(struct seq *seq, void *buf, size_t bytes)
{
	for (char *p = buf; bytes;) {
		size_t n;

		expect(refill(seq), "the stream ends, %zu bytes early", bytes);
		n = seq->to - seq->from < bytes ? seq->to - seq->from : bytes;
		memcpy(p, seq->ahead + seq->from, n);
		seq->from += n;
		p += n;
		bytes -= n;
	}
}

/*
 * skip_to_mark() - read until this run's mark has come
 *
 * The end-of-file of an earlier run's writer may come first.
 */
static void skip_to_mark(struct seq *seq)
{
	char window[MARK_BYTES] = { 0 };

	while (memcmp(window, seq->mark, MARK_BYTES) != 0) {
		if (!refill(seq)) {
			sched_yield();
			continue;
		}
		memmove(window, window + 1, MARK_BYTES - 1);
		window[MARK_BYTES - 1] = seq->ahead[seq->from++];
	}
}

/* seq_read() - the reading thread's work */
static void seq_read(struct seq *seq)
{
	uint64_t random = seq->seed, bytes = 0;
	char *buf = malloc(MAX_RECORD);
	struct record head;

	skip_to_mark(seq);
	for (uint64_t i = 0; i < seq->records; i++) {
		size_t want = random_size(&random, seq->max);

		take(seq, &head, sizeof(head));
		expect(head.magic == RECORD_MAGIC,
		       "record %llu at byte %llu: no record begins here", (unsigned long long)i,
		       (unsigned long long)bytes);
		expect(head.number == i, "record %llu came instead of %llu",
		       (unsigned long long)head.number, (unsigned long long)i);
		expect(head.bytes == want, "record %llu: %u bytes, not %zu", (unsigned long long)i,
		       head.bytes, want);
		take(seq, buf, want);
		expect(pattern_check(buf, seq->seed + i, 0, want) == want,
		       "record %llu: wrong payload", (unsigned long long)i);
		bytes += sizeof(head) + want;
		if (seq->progress && (i + 1) % seq->progress == 0) {
			printf("progress %llu. gap %llu us\n", (unsigned long long)i + 1,
			       (unsigned long long)seq->gap_ns / 1000);
			seq->gap_ns = 0;
		}
	}
	printf("records %llu bytes %llu\n", (unsigned long long)seq->records,
	       (unsigned long long)bytes);
	free(buf);
}

COMMAND(seq, "TARGET records=N [max=BYTES] [seed=N] [progress=N]")
{
	struct seq seq = {
		.records = parse_bytes(argument(argv, "records", "1000")),
		.max = (size_t)parse_bytes(argument(argv, "max", "4K")),
		.seed = parse_bytes(argument(argv, "seed", "1")),
		.progress = parse_bytes(argument(argv, "progress", "0")),
	};
	pthread_t writer;

	expect(seq.max >= 1 && seq.max <= MAX_RECORD, "max: 1 to %u", MAX_RECORD);
	target_open(&seq.target, argv[0], true, true);
	pattern_fill(seq.mark, now_ns() ^ (uint64_t)getpid() << 40, 0, MARK_BYTES);
	expect(!pthread_create(&writer, NULL, seq_write, &seq), "pthread_create");
	seq_read(&seq);
	pthread_join(writer, NULL);
	target_close(&seq.target);
	return 0;
}
