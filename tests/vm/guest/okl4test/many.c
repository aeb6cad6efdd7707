// SPDX-License-Identifier: BSD-3-Clause
/*
 * many.c - all nodes of a directory at once
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "util.h"

#define MAX_NODES   1024
#define PIECE       1000U
#define STACK_BYTES 65536U

/**
 * struct node - an open node
 * @fd: its descriptor
 * @seed: makes its bytes differ from those of others
 * @written: bytes written
 * @got: bytes read back
 */
struct node {
	int fd;
	unsigned int seed;
	uint64_t written, got;
};

static struct node nodes[MAX_NODES];
static size_t n_nodes;

/* open_nodes() - open all fifos of @dir but @skip */
static void open_nodes(const char *dir, const char *skip, int flags)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	struct stat st;

	expect(d, "%s: %m", dir);
	while ((entry = readdir(d))) {
		struct node *node = &nodes[n_nodes];

		if (!strcmp(entry->d_name, skip))
			continue;
		expect(!fstatat(dirfd(d), entry->d_name, &st, 0), "%s: %m", entry->d_name);
		if (!S_ISFIFO(st.st_mode))
			continue;
		expect(n_nodes < MAX_NODES, "more than %d nodes", MAX_NODES);
		node->fd = openat(dirfd(d), entry->d_name, flags);
		expect(node->fd >= 0, "%s: %m", entry->d_name);
		node->seed = (unsigned int)(n_nodes++ * 7919);
	}
	closedir(d);
}

/* byte_of() - the byte of a node's stream at @at */
static char byte_of(const struct node *node, uint64_t at)
{
	return (char)(node->seed + at * 31 + (at >> 8));
}

/* send_some() - write as much as fits; Return: whether everything is written */
static bool send_some(struct node *node, uint64_t bytes)
{
	char piece[PIECE];

	while (node->written < bytes) {
		size_t want = bytes - node->written < PIECE ? bytes - node->written : PIECE;
		ssize_t n;

		for (size_t i = 0; i < want; i++)
			piece[i] = byte_of(node, node->written + i);
		n = write(node->fd, piece, want);
		if (n < 0 && errno == EAGAIN)
			return false;
		expect(n > 0, "write: %zd (%m)", n);
		node->written += (uint64_t)n;
	}
	return true;
}

/* receive_some() - read and compare what is there */
static void receive_some(struct node *node)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(node->fd, piece, sizeof(piece))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			expect(piece[i] == byte_of(node, node->got + (uint64_t)i),
			       "node %zu: byte %llu is wrong", (size_t)(node - nodes),
			       (unsigned long long)node->got);
		node->got += (uint64_t)n;
	}
	expect(n < 0 && errno == EAGAIN, "read: %zd (%m)", n);
}

COMMAND(many, "FOLDER [bytes=BYTES]")
{
	uint64_t bytes = parse_bytes(argument(argv, "bytes", "10000"));
	uint64_t end = now_ns() + 240 * 1000000000ULL;
	int set = epoll_create1(0);
	size_t left;

	open_nodes(argv[0], "", O_RDWR | O_NONBLOCK);
	for (size_t i = 0; i < n_nodes; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.u64 = i };

		expect(!epoll_ctl(set, EPOLL_CTL_ADD, nodes[i].fd, &ev), "epoll_ctl: %m");
	}
	for (left = n_nodes; left && bytes;) {
		struct epoll_event ready[64];
		int n = epoll_wait(set, ready, 64, 1000);

		expect(now_ns() < end, "%zu of %zu nodes are not done", left, n_nodes);
		for (int i = 0; i < n; i++) {
			struct node *node = &nodes[ready[i].data.u64];
			struct epoll_event ev = { .events = EPOLLIN, .data = ready[i].data };

			if (node->written < bytes && send_some(node, bytes))
				epoll_ctl(set, EPOLL_CTL_MOD, node->fd, &ev);
			receive_some(node);
			if (node->got < bytes)
				continue;
			epoll_ctl(set, EPOLL_CTL_DEL, node->fd, NULL);
			left--;
		}
	}
	printf("ok %zu nodes\n", n_nodes);
	return 0;
}

/* sleep_in() - sleep in read(2) on a node, forever */
static void *sleep_in(void *arg)
{
	struct node *node = arg;
	char byte;

	fail("read on an idle channel returned %zd (%m)", read(node->fd, &byte, 1));
}

COMMAND(hold, "FOLDER [but=NAME] [sleepers=yes]")
{
	bool sleepers = !strcmp(argument(argv, "sleepers", "no"), "yes");
	pthread_attr_t small;
	char line[16];

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK_BYTES);
	open_nodes(argv[0], argument(argv, "but", ""), O_RDWR);
	for (size_t i = 0; i < n_nodes && sleepers; i++) {
		pthread_t thread;
		int r = pthread_create(&thread, &small, sleep_in, &nodes[i]);

		expect(!r, "thread %zu: %s", i, strerror(r));
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		puts("done");
	_exit(0);
}
