/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mux.h - a socket of several channels of a guest: its clients say which of them they want
 *
 * A client sends the line "CONNECT NAME", as to the host's socket of a hybrid vsock:
 * https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
 */
#ifndef OKL4FSD_ENDPOINT_SESSIONS_MUX_H
#define OKL4FSD_ENDPOINT_SESSIONS_MUX_H

#include <sys/queue.h>

#include "endpoint/sessions/backlog.h"

#define MUX_CLIENTS 64U /* that have not said their line */
#define MUX_LINE_MS 5000U /* after so long without it a client is dropped */

struct mux;

/**
 * struct mux_board - the endpoint mux-listen of one channel
 * @board: common part of boards
 * @backlog: its clients
 * @mux: the socket that it shares; NULL: none
 * @next: of the mux
 * @refused: clients that it had no place for
 */
struct mux_board {
	struct board board;
	struct backlog backlog;
	struct mux *mux;
	TAILQ_ENTRY(mux_board) next;
	uint64_t refused;
};

/** mux_join() - share the socket of the channel's guest and path, which the first one makes; Return: 0 or -errno, with a log line */
int mux_join(struct mux_board *mb);

/** mux_leave() - the last one removes the socket; one that has not joined is allowed */
void mux_leave(struct mux_board *mb);

/** mux_next_port() - the number that tells a client that the guest has taken it, 1 to 65535 */
unsigned int mux_next_port(struct mux_board *mb);

/** mux_is_lost() - whether the socket's file was removed or replaced */
bool mux_is_lost(const struct mux_board *mb);

/** mux_reloaded() - the configuration was read again: listen again where the file is lost */
void mux_reloaded(struct mux_board *mb);

#endif
