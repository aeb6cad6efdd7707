// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_poll.c - poll(2) and select(2), as fifo(7) and pipe(7) have them
 */
#include <errno.h>
#include <sched.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rows.h"

/* The system calls behind poll(3); newer architectures have only the latter */
#ifdef SYS_poll
#define POLL_NUMBER SYS_poll
#else
#define POLL_NUMBER SYS_ppoll
#endif

/* Not even HUP */
ROW_STEPS(poll_before_first_open, "open r; poll r none; open w; poll w OUT; open b; poll b OUT");
ROW_STEPS(poll_in, "open r; connect; poll r none; send 10; wait r IN IN; read r 10; poll r none");
ROW_STEPS(poll_out, "open w; fill w; poll w none; connect; skip 64K; wait w OUT OUT");
/* Bytes that are still there, the end that stays, and the peer that is back */
ROW_STEPS(poll_hup, "open r; connect; send 10; leave; wait r none HUP; poll r IN|HUP; read r 10; "
		    "wait r IN HUP; connect; send 10; taken; poll r IN");

ROW(poll_err)
{
	int fd = row_open(r, "w; connect; leave; wait w none ERR; connect");

	while (poll_now(fd, 0) & POLLERR)
		sched_yield(); /* ends by alarm(2) if POLLERR stays */
	steps(r, "poll w OUT");
}

static long call_poll(struct async *a)
{
	return wait_poll(a->fd, (short)a->bytes);
}

/* poll_wakes() - a sleeper in poll(2) is woken by what the peer does */
static void poll_wakes(struct row *r, int fd, short events, const char *what)
{
	struct async a = { .number = POLL_NUMBER, .call = call_poll, .fd = fd };

	a.bytes = (size_t)events;
	async_run(&a);
	async_wait_blocked(&a);
	steps(r, "%s", what);
	expect(async_join(&a), "poll returned nothing");
}

ROW(poll_wakes_sleepers)
{
	int fd = row_open(r, "r; open w; fill w; connect");

	poll_wakes(r, fd, POLLIN, "send 10");
	steps(r, "read r 10; skip 64K");
	poll_wakes(r, fd, 0, "leave");
}

ROW(select_works)
{
	struct timeval limit = { .tv_sec = LIMIT_SECONDS }, none = { 0 };
	int rx = row_open(r, "r"), tx = row_open(r, "w; connect");
	fd_set in, out;

	FD_ZERO(&in);
	FD_SET(rx, &in);
	FD_ZERO(&out);
	FD_SET(tx, &out);
	expect(select(tx + 1, &in, &out, NULL, &none) == 1, "select: %m");
	expect(FD_ISSET(tx, &out) && !FD_ISSET(rx, &in), "not writable, or readable");
	steps(r, "send 10");
	FD_ZERO(&in);
	FD_SET(rx, &in);
	expect(select(rx + 1, &in, NULL, NULL, &limit) == 1 && FD_ISSET(rx, &in), "not readable");
}
