// SPDX-License-Identifier: BSD-3-Clause
/*
 * stream.c - a pattern in one direction or both at once, hashed at both ends
 *
 * There is one thread per direction. The reader compares every byte with the pattern, so that a
 * fault is reported with its place, and hashes what came; the writer hashes what it wrote. The test
 * that started both ends compares the hashes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "target.h"
#include "util.h"

#define MAX_PIECE  (1U << 20)
#define HASH_START 0xcbf29ce484222325ULL

/**
 * struct way - one direction of a stream
 * @target: shared by both
 * @bytes: how many; UINT64_MAX: read until the end
 * @seed: of the pattern
 * @piece: length of each call; 0: random, 1 byte to MAX_PIECE
 * @progress: print a line each time this many bytes have moved; 0: never
 * @corrupt: (writer) the byte at this offset is written wrong; UINT64_MAX: none
 */
struct way {
	struct target *target;
	uint64_t bytes;
	uint64_t seed;
	size_t piece;
	uint64_t progress;
	uint64_t corrupt;
};

/* hash_more() - FNV-1a; each byte is compared with the pattern, too */
static uint64_t hash_more(uint64_t hash, const char *buf, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)buf[i]) * 0x100000001b3ULL;
	return hash;
}

/* next_piece() - length of the next call of a way */
static size_t next_piece(const struct way *way, uint64_t *random, uint64_t done)
{
	size_t piece = way->piece ? way->piece : random_size(random, MAX_PIECE);

	return piece < way->bytes - done ? piece : (size_t)(way->bytes - done);
}

/* tell_progress() - print when a multiple of @progress was passed */
static void tell_progress(const struct way *way, const char *what, uint64_t before, uint64_t after)
{
	if (way->progress && before / way->progress != after / way->progress)
		printf("progress %s %llu\n", what, (unsigned long long)after);
}

/* stream_write() - the writing thread */
static void *stream_write(void *arg)
{
	const struct way *way = arg;
	uint64_t random = way->seed, done = 0, hash = HASH_START;
	char *buf = malloc(MAX_PIECE);

	while (done < way->bytes) {
		size_t n = next_piece(way, &random, done);

		pattern_fill(buf, way->seed, done, n);
		hash = hash_more(hash, buf, n);
		if (way->corrupt >= done && way->corrupt - done < n)
			buf[way->corrupt - done] ^= 1;
		write_all(way->target->tx, buf, n);
		tell_progress(way, "written", done, done + n);
		done += n;
	}
	target_end_tx(way->target);
	printf("written %llu %016llx\n", (unsigned long long)done, (unsigned long long)hash);
	free(buf);
	return NULL;
}

/* stream_read() - the reading thread */
static void *stream_read(void *arg)
{
	const struct way *way = arg;
	uint64_t random = ~way->seed, done = 0, hash = HASH_START;
	char *buf = malloc(MAX_PIECE);

	while (done < way->bytes) {
		size_t n = next_piece(way, &random, done), good;
		ssize_t got = read(way->target->rx, buf, n);

		if (got < 0 && errno == EINTR)
			continue;
		expect(got >= 0, "read at %llu: %m", (unsigned long long)done);
		if (got == 0)
			break;
		good = pattern_check(buf, way->seed, done, (size_t)got);
		expect(good == (size_t)got, "byte %llu is wrong", (unsigned long long)done + good);
		hash = hash_more(hash, buf, (size_t)got);
		tell_progress(way, "read", done, done + (size_t)got);
		done += (size_t)got;
	}
	expect(way->bytes == UINT64_MAX || done == way->bytes, "%llu bytes came, then the end",
	       (unsigned long long)done);
	printf("read %llu %016llx\n", (unsigned long long)done, (unsigned long long)hash);
	free(buf);
	return NULL;
}

COMMAND(stream,
	"TARGET [write=BYTES] [read=BYTES|eof] [seed=N] [read_seed=N] [piece=BYTES|random]\n"
	"\t\t[progress=BYTES] [corrupt=OFFSET]")
{
	const char *writes = argument(argv, "write", NULL), *reads = argument(argv, "read", NULL);
	const char *seed = argument(argv, "seed", "1"), *piece = argument(argv, "piece", "random");
	const char *corrupt = argument(argv, "corrupt", NULL);
	struct target target;
	struct way out = { .target = &target }, in;
	pthread_t writer, reader;

	out.seed = parse_bytes(seed);
	out.piece = strcmp(piece, "random") ? (size_t)parse_bytes(piece) : 0;
	expect(out.piece <= MAX_PIECE, "piece: at most %u", MAX_PIECE);
	out.progress = parse_bytes(argument(argv, "progress", "0"));
	out.corrupt = corrupt ? parse_bytes(corrupt) : UINT64_MAX;
	in = out;
	in.seed = parse_bytes(argument(argv, "read_seed", seed));
	target_open(&target, argv[0], reads, writes);
	if (writes) {
		out.bytes = parse_bytes(writes);
		expect(!pthread_create(&writer, NULL, stream_write, &out), "pthread_create");
	}
	if (reads) {
		in.bytes = strcmp(reads, "eof") ? parse_bytes(reads) : UINT64_MAX;
		expect(!pthread_create(&reader, NULL, stream_read, &in), "pthread_create");
		pthread_join(reader, NULL);
	}
	if (writes)
		pthread_join(writer, NULL);
	target_close(&target);
	return 0;
}
