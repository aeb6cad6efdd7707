/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target.h - what a transfer runs over, named by one word
 *
 *   PATH        a device or a node of okl4fs (made with mkfifo(3) when it is missing)
 *   unix:PATH   connects to a unix stream socket (tried until somebody listens)
 *
 * So one program is both ends: in the guest on /okl4/NAME, on the host on the endpoint's socket.
 */
#ifndef OKL4TEST_TARGET_H
#define OKL4TEST_TARGET_H

#include <stdbool.h>

/**
 * struct target - an open target
 * @rx: descriptor to read from; -1 when not asked for
 * @tx: descriptor to write to; a socket's @rx and @tx are the same
 * @is_socket: ends by shutdown(2)
 */
struct target {
	int rx;
	int tx;
	bool is_socket;
};

/** target_open() - open for reading, writing or both; fails the program when it cannot */
void target_open(struct target *t, const char *name, bool rx, bool tx);

/** target_end_tx() - close the writing half: the peer reads end-of-file */
void target_end_tx(struct target *t);

/** target_close() - close what is open */
void target_close(struct target *t);

#endif
