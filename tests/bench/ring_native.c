// SPDX-License-Identifier: BSD-3-Clause
/*
 * ring_native.c - libfs between two processes, compared with AF_UNIX streams, pipes and memcpy
 *
 * ring_native [--rounds N] [--mib N] [--no-pin] [--json FILE]
 *
 * Every round measures every way once, so that a noisy moment affects all of them; the medians of
 * the rounds are printed. Throughput: a child sends --mib MiB in pieces, the parent receives into
 * pieces of that size. Round trip: the parent sends 64 bytes, the child sends them back.
 *
 * The two processes are kept on two CPUs, as a busy guest and daemon are. Otherwise it would depend
 * on the scheduler whether a way is measured on one CPU (with a warm cache, and without a wake-up
 * across CPUs) or on two.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "native_ways.h"

#define MAX_ROUNDS      99
#define ROUND_TRIPS     2000
#define WARM_UP         100
#define TRIP_BYTES      64
#define MAX_PIECE_BYTES 65536

static const struct {
	const char *name;
	size_t bytes;
} piece[] = { { "64KiB", 65536 }, { "4KiB", 4096 } };
#define N_PIECES 2

static unsigned int n_rounds = 7;
static uint64_t total_mib = 512;
static bool pin = true;

/* One figure per round */
static double rate[N_PIECES][N_WAYS][MAX_ROUNDS]; /* MiB/s */
static double copy_rate[N_PIECES][MAX_ROUNDS];
static double trip_p50[N_WAYS][MAX_ROUNDS]; /* us */
static double trip_p99[N_WAYS][MAX_ROUNDS];

static uint8_t buffer[MAX_PIECE_BYTES];

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which a part of the values lie; sorts them */
static double quantile(double *value, size_t n, double part)
{
	qsort(value, n, sizeof(*value), compare);
	return value[(size_t)((double)(n - 1) * part + 0.5)];
}

static double median(const double *value)
{
	double copy[MAX_ROUNDS];

	memcpy(copy, value, n_rounds * sizeof(*copy));
	return quantile(copy, n_rounds, 0.5);
}

static void recv_all(const struct way *way, int side, uint8_t *buf, size_t bytes)
{
	while (bytes) {
		size_t n = way->recv(side, buf, bytes);

		buf += n;
		bytes -= n;
	}
}

/* Keep a side on its own CPU, if there are two */
static void keep_apart(int side)
{
	static cpu_set_t all;
	cpu_set_t one;
	int cpu, skip = side;

	if (!pin)
		return;
	if (!CPU_COUNT(&all) && sched_getaffinity(0, sizeof(all), &all))
		bench_die("sched_getaffinity");
	if (CPU_COUNT(&all) < 2)
		return;
	for (cpu = 0; !CPU_ISSET(cpu, &all) || skip--; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		bench_die("sched_setaffinity");
}

static pid_t start_child(const struct way *way)
{
	pid_t child;

	way->init();
	fflush(NULL);
	child = fork();
	if (child < 0)
		bench_die("fork");
	if (!child)
		keep_apart(1);
	return child;
}

static void end_child(const struct way *way, pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) != child) {
		if (errno != EINTR)
			bench_die("waitpid");
	}
	if (status)
		bench_die("the child failed");
	way->deinit();
}

/* A stream from the child; Return: MiB/s */
static double measure_rate(const struct way *way, size_t bytes)
{
	uint64_t total = total_mib << 20, n;
	pid_t child = start_child(way);
	double start;

	if (!child) {
		recv_all(way, 1, buffer, 1);
		for (n = 0; n < total; n += bytes)
			way->send(1, buffer, bytes);
		_exit(0);
	}
	way->send(0, buffer, 1);
	start = now_s();
	for (n = 0; n < total;)
		n += way->recv(0, buffer, bytes);
	start = now_s() - start;
	end_child(way, child);
	return (double)total_mib / start;
}

/* Round trips with the child; fills in both figures, us */
static void measure_trips(const struct way *way, double *p50, double *p99)
{
	static double trip[ROUND_TRIPS];
	pid_t child = start_child(way);
	int i;

	if (!child) {
		for (i = 0; i < WARM_UP + ROUND_TRIPS; i++) {
			recv_all(way, 1, buffer, TRIP_BYTES);
			way->send(1, buffer, TRIP_BYTES);
		}
		_exit(0);
	}
	for (i = 0; i < WARM_UP + ROUND_TRIPS; i++) {
		double start = now_s();

		way->send(0, buffer, TRIP_BYTES);
		recv_all(way, 0, buffer, TRIP_BYTES);
		if (i >= WARM_UP)
			trip[i - WARM_UP] = (now_s() - start) * 1e6;
	}
	end_child(way, child);
	*p50 = quantile(trip, ROUND_TRIPS, 0.5);
	*p99 = quantile(trip, ROUND_TRIPS, 0.99);
}

/* One copy into a buffer as large as the ring; Return: MiB/s */
static double measure_copy(size_t bytes)
{
	uint64_t total = total_mib << 22, n;
	uint8_t *to = malloc(WAY_BUFFER_BYTES);
	double start;

	if (!to)
		bench_die("malloc");
	memset(to, 1, WAY_BUFFER_BYTES);
	start = now_s();
	for (n = 0; n < total; n += bytes) {
		memcpy(to + n % WAY_BUFFER_BYTES, buffer, bytes);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	start = now_s() - start;
	free(to);
	return (double)(total >> 20) / start;
}

static void measure(void)
{
	unsigned int round;
	int way, p;

	for (round = 0; round < n_rounds; round++) {
		for (p = 0; p < N_PIECES; p++) {
			for (way = 0; way < N_WAYS; way++)
				rate[p][way][round] = measure_rate(&ways[way], piece[p].bytes);
			copy_rate[p][round] = measure_copy(piece[p].bytes);
		}
		for (way = 0; way < N_WAYS; way++)
			measure_trips(&ways[way], &trip_p50[way][round], &trip_p99[way][round]);
		fprintf(stderr, "round %u of %u done\n", round + 1, n_rounds);
	}
}

/* How many times as fast one is as the other: the median of the rounds' ratios */
static double ratio(const double *fast, const double *slow)
{
	double of[MAX_ROUNDS];
	unsigned int i;

	for (i = 0; i < n_rounds; i++)
		of[i] = fast[i] / slow[i];
	return median(of);
}

static void print_table(void)
{
	int way;

	printf("libfs between two processes, medians of %u rounds of %llu MiB\n\n", n_rounds,
	       (unsigned long long)total_mib);
	printf("%-12s %14s %14s %16s %16s\n", "", "64 KiB, MiB/s", "4 KiB, MiB/s", "64 B p50, us",
	       "64 B p99, us");
	for (way = 0; way < N_WAYS; way++)
		printf("%-12s %14.0f %14.0f %16.2f %16.2f   %s\n", ways[way].name,
		       median(rate[0][way]), median(rate[1][way]), median(trip_p50[way]),
		       median(trip_p99[way]), ways[way].text);
	printf("%-12s %14.0f %14.0f %16s %16s   one copy, one process\n\n", "memcpy",
	       median(copy_rate[0]), median(copy_rate[1]), "-", "-");
	for (way = WAY_RING; way < WAY_UNIX; way++)
		printf("%-9s against af_unix: %.1fx at 64 KiB, %.1fx at 4 KiB; against pipe: %.1fx, "
		       "%.1fx\n",
		       ways[way].name, ratio(rate[0][way], rate[0][WAY_UNIX]),
		       ratio(rate[1][way], rate[1][WAY_UNIX]),
		       ratio(rate[0][way], rate[0][WAY_PIPE]),
		       ratio(rate[1][way], rate[1][WAY_PIPE]));
}

static void write_ratios(FILE *f, int p, int way, const char *comma)
{
	const char *name = ways[way].name, *at = piece[p].name;

	fprintf(f, "%s\n    \"%s_over_af_unix_%s\": %.2f", comma, name, at,
		ratio(rate[p][way], rate[p][WAY_UNIX]));
	fprintf(f, ",\n    \"%s_over_pipe_%s\": %.2f", name, at,
		ratio(rate[p][way], rate[p][WAY_PIPE]));
	fprintf(f, ",\n    \"%s_over_memcpy_%s\": %.3f", name, at,
		ratio(rate[p][way], copy_rate[p]));
}

static void write_json(FILE *f)
{
	int way, p;

	fprintf(f, "{\n  \"benchmark\": \"ring_native\",\n  \"rounds\": %u,\n", n_rounds);
	fprintf(f, "  \"mib_per_round\": %llu,\n", (unsigned long long)total_mib);
	fprintf(f, "  \"throughput_mib_s\": {");
	for (p = 0; p < N_PIECES; p++) {
		fprintf(f, "%s\n    \"%s\": { ", p ? "," : "", piece[p].name);
		for (way = 0; way < N_WAYS; way++)
			fprintf(f, "\"%s\": %.1f, ", ways[way].name, median(rate[p][way]));
		fprintf(f, "\"memcpy\": %.1f }", median(copy_rate[p]));
	}
	fprintf(f, "\n  },\n  \"round_trip_64B_us\": {");
	for (way = 0; way < N_WAYS; way++)
		fprintf(f, "%s\n    \"%s\": { \"p50\": %.2f, \"p99\": %.2f }", way ? "," : "",
			ways[way].name, median(trip_p50[way]), median(trip_p99[way]));
	fprintf(f, "\n  },\n  \"ratios\": {");
	for (p = 0; p < N_PIECES; p++) {
		for (way = WAY_RING; way < WAY_UNIX; way++)
			write_ratios(f, p, way, !p && way == WAY_RING ? "" : ",");
	}
	fprintf(f, "\n  }\n}\n");
}

static void store_json(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		bench_die(path);
	write_json(f);
	if (ferror(f) | fclose(f))
		bench_die(path);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: ring_native [--rounds 1..%d] [--mib N] [--no-pin] [--json FILE]\n",
		MAX_ROUNDS);
	exit(2);
}

static uint64_t number(const char *text, uint64_t most)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || end == text || !n || n > most)
		usage();
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
						 { "mib", required_argument, NULL, 'm' },
						 { "json", required_argument, NULL, 'j' },
						 { "no-pin", no_argument, NULL, 'n' },
						 { NULL, 0, NULL, 0 } };
	const char *json = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			n_rounds = (unsigned int)number(optarg, MAX_ROUNDS);
		else if (c == 'm')
			total_mib = number(optarg, 1 << 20);
		else if (c == 'j')
			json = optarg;
		else if (c == 'n')
			pin = false;
		else
			usage();
	}
	if (optind != argc)
		usage();
	memset(buffer, 'x', sizeof(buffer));
	keep_apart(0);
	measure();
	print_table();
	if (json)
		store_json(json);
	return 0;
}
