// SPDX-License-Identifier: BSD-3-Clause
/*
 * churn.c - make, open, use, close and unlink one channel's node, all at once
 *
 * Whichever calls meet, each one either works or fails with the right errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "util.h"

#define MAX_THREADS 32

/**
 * struct churner - a thread
 * @path: node
 * @rounds: how often
 * @random: its state of random_next()
 * @opens: how many opens have worked
 * @thread: handle
 */
struct churner {
	const char *path;
	uint64_t rounds;
	uint64_t random;
	uint64_t opens;
	pthread_t thread;
};

/* use() - open the node and do something with it */
static void use(struct churner *c)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int mode = modes[random_next(&c->random) % 3];
	int fd = open(c->path, mode | O_NONBLOCK | O_CLOEXEC);
	char buf[4096];

	if (fd < 0) {
		expect(errno == ENOENT, "open: %m");
		return;
	}
	c->opens++;
	memset(buf, 'x', sizeof(buf));
	if (mode != O_RDONLY && random_next(&c->random) % 2)
		expect(write(fd, buf, random_size(&c->random, sizeof(buf))) > 0 || errno == EAGAIN,
		       "write: %m");
	if (mode != O_WRONLY && random_next(&c->random) % 2)
		expect(read(fd, buf, sizeof(buf)) >= 0 || errno == EAGAIN, "read: %m");
	expect(close(fd) == 0, "close: %m");
}

static void *churn(void *arg)
{
	struct churner *c = arg;

	for (uint64_t i = 0; i < c->rounds; i++) {
		switch (random_next(&c->random) % 4) {
		case 0:
			expect(mkfifo(c->path, 0600) == 0 || errno == EEXIST, "mkfifo: %m");
			break;
		case 1:
			expect(unlink(c->path) == 0 || errno == ENOENT, "unlink: %m");
			break;
		default:
			use(c);
		}
	}
	return NULL;
}

COMMAND(churn, "NODE [threads=N] [rounds=N]")
{
	size_t n = (size_t)parse_bytes(argument(argv, "threads", "8"));
	static struct churner churners[MAX_THREADS];
	uint64_t opens = 0;

	expect(n >= 1 && n <= MAX_THREADS, "threads: 1 to %d", MAX_THREADS);
	for (size_t i = 0; i < n; i++) {
		churners[i] = (struct churner){ .path = argv[0], .random = i + 1 };
		churners[i].rounds = parse_bytes(argument(argv, "rounds", "1000"));
		errno = pthread_create(&churners[i].thread, NULL, churn, &churners[i]);
		expect(errno == 0, "pthread_create: %m");
	}
	for (size_t i = 0; i < n; i++) {
		pthread_join(churners[i].thread, NULL);
		opens += churners[i].opens;
	}
	expect(opens > 0, "not one open has worked");
	printf("opens %llu\n", (unsigned long long)opens);
	return 0;
}
