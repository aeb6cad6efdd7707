// SPDX-License-Identifier: BSD-3-Clause
/*
 * crowd.c - many writers and many readers on one channel, or on each of several, through an echo
 *
 * All records have one length that divides a ring, so each reader gets whole ones. A write is a
 * few of them, at most PIPE_BUF bytes, and must stay in one piece. Each record must come once, to
 * one reader, and a reader must see those of a writer in their order. Some threads block, others
 * poll; signals hit all of them at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "util.h"

#define RECORD_BYTES 512
#define MAX_BATCH    (PIPE_BUF / RECORD_BYTES)
#define MAX_WRITERS  16
#define MAX_THREADS  256

/** struct record - its header; the rest is the pattern of (writer, number) */
struct record {
	uint32_t writer;
	uint32_t number;
	uint32_t place; /* in its write */
	uint32_t batch; /* records of that write */
	uint8_t payload[RECORD_BYTES - 16];
};

/**
 * struct crowd - a channel and the threads that use it
 * @path: node
 * @fd: holds the stream open until all are done
 * @n_writers: how many write
 * @records: how many each of them writes
 * @seen: one flag for each record of each writer
 * @n_seen: how many of them are set
 * @progress: print a line for each that many records; 0: never
 */
struct crowd {
	const char *path;
	int fd;
	uint32_t n_writers;
	uint32_t records;
	uint8_t *seen;
	uint64_t n_seen;
	uint64_t progress;
};

/**
 * struct member - a thread
 * @crowd: whose
 * @writes: it is a writer, else a reader
 * @polls: its descriptor is O_NONBLOCK and it waits in poll(2)
 * @number: among the writers, or the readers
 * @done: it has finished
 * @thread: handle
 */
struct member {
	struct crowd *crowd;
	bool writes;
	bool polls;
	uint32_t number;
	bool done;
	pthread_t thread;
};

static struct member members[MAX_THREADS];
static size_t n_members;

static uint64_t total(const struct crowd *c)
{
	return (uint64_t)c->n_writers * c->records;
}

static bool finished(struct crowd *c)
{
	return __atomic_load_n(&c->n_seen, __ATOMIC_RELAXED) == total(c);
}

/* again() - whether to repeat a call that failed; waits first if the member polls */
static bool again(const struct member *m, int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	if (errno == EINTR)
		return true;
	if (errno != EAGAIN || !m->polls)
		return false;
	expect(poll(&pfd, 1, -1) >= 0 || errno == EINTR, "poll: %m");
	return true;
}

/* write_batch() - write some records at once */
static void write_batch(const struct member *m, int fd, const void *buf, size_t bytes)
{
	ssize_t n;

	do {
		n = write(fd, buf, bytes);
	} while (n < 0 && again(m, fd, POLLOUT));
	expect(n == (ssize_t)bytes, "write of %zu bytes: %zd (%m)", bytes, n);
}

/* run_writer() - write all records of a writer */
static void run_writer(const struct member *m, int fd)
{
	struct record batch[MAX_BATCH];
	uint64_t random = m->number + 1;

	for (uint32_t next = 0; next < m->crowd->records;) {
		uint32_t n = (uint32_t)(random_next(&random) % MAX_BATCH) + 1;

		if (n > m->crowd->records - next)
			n = m->crowd->records - next;
		for (uint32_t i = 0; i < n; i++, next++) {
			batch[i] = (struct record){ m->number, next, i, n, { 0 } };
			pattern_fill(batch[i].payload, m->number, next, sizeof(batch[i].payload));
		}
		write_batch(m, fd, batch, n * RECORD_BYTES);
	}
}

/* take() - check a record, against the one before it in the same read, if there is one */
static void take(struct crowd *c, const struct record *r, const struct record *before,
		 int64_t last[MAX_WRITERS])
{
	uint64_t n;

	expect(r->writer < c->n_writers && r->number < c->records,
	       "not a record: writer %u number %u", r->writer, r->number);
	expect(pattern_check(r->payload, r->writer, r->number, sizeof(r->payload)) ==
		       sizeof(r->payload),
	       "record %u of writer %u: wrong payload", r->number, r->writer);
	expect(!before || r->place == 0 ||
		       (before->writer == r->writer && before->number + 1 == r->number),
	       "record %u of writer %u: its write was torn", r->number, r->writer);
	expect(!before || before->place + 1 == before->batch || r->place == before->place + 1,
	       "record %u of writer %u: comes in the middle of another write", r->number,
	       r->writer);
	expect(last[r->writer] < r->number, "record %u of writer %u comes after %lld", r->number,
	       r->writer, (long long)last[r->writer]);
	last[r->writer] = r->number;
	expect(!__atomic_exchange_n(&c->seen[(size_t)r->writer * c->records + r->number], 1,
				    __ATOMIC_RELAXED),
	       "record %u of writer %u comes twice", r->number, r->writer);
	n = __atomic_add_fetch(&c->n_seen, 1, __ATOMIC_RELAXED);
	if (c->progress && n % c->progress == 0)
		printf("progress %llu.\n", (unsigned long long)n);
}

/* run_reader() - read until every record has come to some reader */
static void run_reader(const struct member *m, int fd)
{
	struct record buf[2 * MAX_BATCH];
	uint64_t random = ~(uint64_t)m->number;
	int64_t last[MAX_WRITERS];

	memset(last, -1, sizeof(last));
	while (!finished(m->crowd)) {
		size_t most = random_next(&random) % (2 * MAX_BATCH) + 1;
		ssize_t n = read(fd, buf, most * RECORD_BYTES);

		if (n < 0 && again(m, fd, POLLIN))
			continue;
		/* An earlier run's end may come first; this run's comes after everything */
		expect(n == 0 ? !__atomic_load_n(&m->crowd->n_seen, __ATOMIC_RELAXED) :
				n > 0 && n % RECORD_BYTES == 0,
		       "read: %zd (%m)", n);
		for (ssize_t i = 0; i < n / RECORD_BYTES; i++)
			take(m->crowd, &buf[i], i ? &buf[i - 1] : NULL, last);
	}
}

/* member_main() - a thread, with a descriptor of its own */
static void *member_main(void *arg)
{
	struct member *m = arg;
	int flags = (m->writes ? O_WRONLY : O_RDONLY) | (m->polls ? O_NONBLOCK : 0), fd;

	do {
		fd = open(m->crowd->path, flags | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	expect(fd >= 0, "%s: %m", m->crowd->path);
	if (m->writes)
		run_writer(m, fd);
	else
		run_reader(m, fd);
	close(fd);
	__atomic_store_n(&m->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* caught() - the handler only makes calls return EINTR */
static void caught(int number)
{
	(void)number;
}

/* pester() - send signals to random members until all are done, which also wakes idle readers */
static void pester(void)
{
	uint64_t random = 1;

	for (;;) {
		size_t left = 0;

		for (size_t i = 0; i < n_members; i++)
			left += !__atomic_load_n(&members[i].done, __ATOMIC_ACQUIRE);
		if (!left)
			return;
		pthread_kill(members[random_next(&random) % n_members].thread, SIGUSR1);
		poll(NULL, 0, 1);
	}
}

/* start() - start the members of a crowd */
static void start(struct crowd *c, uint32_t n_readers)
{
	c->fd = open_node(c->path, O_RDWR);
	for (uint32_t i = 0; i < c->n_writers + n_readers; i++) {
		struct member *m = &members[n_members++];
		bool writes = i < c->n_writers;

		expect(n_members <= MAX_THREADS, "more than %d threads", MAX_THREADS);
		*m = (struct member){ .crowd = c, .writes = writes, .polls = i % 2 };
		m->number = writes ? i : i - c->n_writers;
		errno = pthread_create(&m->thread, NULL, member_main, m);
		expect(errno == 0, "pthread_create: %m");
	}
}

COMMAND(crowd, "NODE... [writers=N] [readers=N] [records=N] [progress=N]")
{
	uint32_t n_writers = (uint32_t)parse_bytes(argument(argv, "writers", "4"));
	uint32_t n_readers = (uint32_t)parse_bytes(argument(argv, "readers", "4"));
	uint32_t records = (uint32_t)parse_bytes(argument(argv, "records", "1000"));
	struct sigaction action = { .sa_handler = caught };
	static struct crowd crowds[MAX_THREADS];
	size_t n_crowds = 0;

	expect(n_writers >= 1 && n_writers <= MAX_WRITERS, "writers: 1 to %d", MAX_WRITERS);
	expect(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction: %m");
	for (; argv[n_crowds] && argv[n_crowds][0] == '/'; n_crowds++) {
		struct crowd *c = &crowds[n_crowds];

		expect(n_crowds < MAX_THREADS, "too many channels");
		*c = (struct crowd){ .path = argv[n_crowds], .n_writers = n_writers };
		c->records = records;
		c->progress = parse_bytes(argument(argv, "progress", "0"));
		c->seen = calloc((size_t)total(c), 1);
		expect(c->seen, "calloc: %m");
		start(c, n_readers);
	}
	pester();
	for (size_t i = 0; i < n_members; i++)
		pthread_join(members[i].thread, NULL);
	for (size_t i = 0; i < n_crowds; i++)
		printf("%s: %llu records\n", crowds[i].path, (unsigned long long)crowds[i].n_seen);
	return 0;
}
