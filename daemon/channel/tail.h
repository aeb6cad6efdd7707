/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tail.h - what a guest has written and its endpoint has not taken when the memory goes away
 *
 * A tail is the daemon's own memory that looks to an endpoint like the guest's: a socketpair whose
 * fwd holds the bytes that were left, whose writer has closed behind them and whose reader has closed
 * too. So an endpoint delivers a tail as it delivers everything else, and sees its end. tails.c says
 * when a tail takes the place of the guest's memory.
 */
#ifndef OKL4FSD_CHANNEL_TAIL_H
#define OKL4FSD_CHANNEL_TAIL_H

#include <sys/queue.h>

#include <libfs/socketpair.h>

/**
 * struct tail_budget - what the tails of one guest may hold together
 * @limit_bytes: at most
 * @used_bytes: now; a tail of less than a page counts as a page
 */
struct tail_budget {
	uint64_t limit_bytes, used_bytes;
};

/**
 * struct tail - what was left of one stream
 * @next: the tail of a later stream
 * @sp: the host's end over it, as it was when the tail was taken
 * @bytes: how many there are
 * @lost_bytes: how many more there were, for which there was no room
 * @budget: to which @charged_bytes are given back; NULL: none, or already given back
 */
struct tail {
	TAILQ_ENTRY(tail) next;
	struct okl4_socketpair sp;
	uint64_t bytes, lost_bytes;
	struct tail_budget *budget;
	/* private */
	uint64_t charged_bytes;
	struct okl4_pipe_shm *shm;
	struct okl4_memsec ring;
	void *chunk;
};

/**
 * tail_take() - copy what lies in fwd, as far as the budget goes
 * @sp: the host's end over the guest's memory; its cursors and phases are not changed
 * @budget: the guest's; NULL: there is none, and nothing is kept
 * @packets: the bytes are messages, of which only whole ones are kept
 *
 * If there is no room for any byte, the tail has none and says how many were lost.
 *
 * Return: the tail, to be freed; NULL when nothing was left, or the end had failed.
 */
struct tail *tail_take(struct okl4_socketpair *sp, struct tail_budget *budget, bool packets);

/** tail_free() - free a tail with its bytes; NULL is allowed; Return: NULL */
struct tail *tail_free(struct tail *tail);

/** tail_leave_budget() - what it holds no longer counts in the budget */
void tail_leave_budget(struct tail *tail);

/** tail_drop_bytes() - drop what was copied because it cannot be trusted: all of it is lost */
void tail_drop_bytes(struct tail *tail);

#endif
