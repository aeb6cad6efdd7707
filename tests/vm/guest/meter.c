// SPDX-License-Identifier: BSD-3-Clause
/*
 * meter - cat(1) with a clock: copies stdin to stdout, and reports on stderr how many bytes there
 * were and how fast they came, from the first to the last
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES 65536

/* die() - end with a message */
static void die(const char *what)
{
	fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* now_s() - seconds since some time */
static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* write_all() - write all of @bytes to stdout */
static void write_all(const char *buf, size_t bytes)
{
	while (bytes) {
		ssize_t put = write(STDOUT_FILENO, buf, bytes);

		if (put < 0)
			die("write");
		buf += put;
		bytes -= (size_t)put;
	}
}

int main(void)
{
	static char buf[PIECE_BYTES];
	unsigned long long total = 0;
	double start = 0, took;
	ssize_t got;

	while ((got = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		if (!total)
			start = now_s();
		write_all(buf, (size_t)got);
		total += (unsigned long long)got;
	}
	if (got < 0)
		die("read");
	took = total ? now_s() - start : 0;
	fprintf(stderr, "%llu bytes in %.3f s, %.0f MiB/s\n", total, took,
		total ? (double)total / took / 1048576.0 : 0.0);
	return 0;
}
