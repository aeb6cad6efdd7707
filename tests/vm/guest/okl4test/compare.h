/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * compare.h - one scenario, run on a fifo of Linux and on a channel
 *
 * A scenario opens the node, has the peer do something, and says in a few words what its calls
 * returned. The peer of a fifo is this process itself, by descriptors of its own; that of a channel
 * is a client on the host (rows.h). Where the words differ, docs/okl4fs.7 says why.
 */
#ifndef OKL4TEST_COMPARE_H
#define OKL4TEST_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "rows.h"

/**
 * struct side - one of the two that are compared
 * @fifo: a fifo of Linux; else a channel
 * @row: the channel, and the path of the node of either
 * @peer_rx: the fifo's peer, reading; -1 when it is not there
 * @peer_tx: the fifo's peer, writing
 * @said: what the scenario's calls returned
 */
struct side {
	bool fifo;
	struct row row;
	int peer_rx;
	int peer_tx;
	char said[256];
};

/**
 * struct scenario - in a table that ends with a NULL name
 * @name: also the name of the difference in docs/okl4fs.7
 * @run: does it, and calls say_*()
 */
struct scenario {
	const char *name;
	void (*run)(struct side *s);
};

extern const struct scenario scenarios_io[], scenarios_poll[], scenarios_call[];

/** node_open() - open the node, which must not block; Return: descriptor */
int node_open(struct side *s, int flags);

/** peer_join() - the peer connects, to read and to write */
void peer_join(struct side *s);

/** peer_leave() - the peer disconnects */
void peer_leave(struct side *s);

/** peer_idle() - make sure that bytes can be written and that nobody takes them */
void peer_idle(struct side *s);

/** peer_send() - the peer has written bytes, and they can be read */
void peer_send(struct side *s, unsigned int bytes);

/** peer_take() - the peer has read so many bytes */
void peer_take(struct side *s, unsigned int bytes);

/** say() - add a word to the result */
__attribute__((format(printf, 2, 3))) void say(struct side *s, const char *fmt, ...);

/** say_result() - add what a call returned: a number, or the name of errno */
void say_result(struct side *s, long result);

/** say_poll() - add what poll(2) reports for a descriptor now */
void say_poll(struct side *s, int fd);

/** say_read() - add the result of reading in another thread, as say_result(), or that it blocks */
void say_read(struct side *s, int fd, size_t bytes);

/** say_write() - as say_read() */
void say_write(struct side *s, int fd, size_t bytes);

/** say_open() - as say_read(), for opening the node, which stays open */
void say_open(struct side *s, int flags);

#endif
