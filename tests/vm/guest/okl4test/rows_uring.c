// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_uring.c - io_uring(7): reads, writes and polls that wait without blocking the submitter
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

#define N_ENTRIES 64

static char buf[4 * ROW_RING_BYTES];

/* The row's; it ends with the row's process */
static struct io_uring ring;

/* ring_new() - set it up */
static void ring_new(void)
{
	int err = io_uring_queue_init(N_ENTRIES, &ring, 0);

	expect(err == 0, "io_uring_queue_init: %s", strerror(-err));
}

/* new_sqe() - an entry to be filled, with a mark by which its completion is known */
static struct io_uring_sqe *new_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	expect(sqe, "no entry is free");
	return sqe;
}

/* submit() - submit all filled entries; it must return at once even if they have to wait */
static void submit(uint64_t mark)
{
	int n;

	io_uring_sqe_set_data64(&ring.sq.sqes[(ring.sq.sqe_tail - 1) & *ring.sq.kring_mask], mark);
	n = io_uring_submit(&ring);
	expect(n == 1, "io_uring_submit returned %d", n);
}

/* submit_rw() - one read or write; @flags: IOSQE_*; @rw_flags: RWF_* */
static void submit_rwf(bool writes, int fd, void *at, size_t bytes, uint64_t mark,
		       unsigned int flags, int rw_flags)
{
	struct io_uring_sqe *sqe = new_sqe();

	io_uring_prep_rw(writes ? IORING_OP_WRITE : IORING_OP_READ, sqe, fd, at,
			 (unsigned int)bytes, (uint64_t)-1);
	io_uring_sqe_set_flags(sqe, flags);
	sqe->rw_flags = rw_flags;
	submit(mark);
}

static void submit_rw(bool writes, int fd, void *at, size_t bytes, uint64_t mark,
		      unsigned int flags)
{
	submit_rwf(writes, fd, at, bytes, mark, flags, 0);
}

/* completed() - wait for the next completion; Return: its result; @mark, @flags: out, or NULL */
static int completed(uint64_t *mark, unsigned int *flags)
{
	struct __kernel_timespec limit = { .tv_sec = LIMIT_SECONDS / 2 };
	struct io_uring_cqe *cqe;
	int err = io_uring_wait_cqe_timeout(&ring, &cqe, &limit), result;

	expect(err == 0, "no completion: %s", strerror(-err));
	result = cqe->res;
	if (mark)
		*mark = cqe->user_data;
	if (flags)
		*flags = cqe->flags;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

/* expect_pending() - nothing has completed yet */
static void expect_pending(void)
{
	struct io_uring_cqe *cqe;

	expect(io_uring_peek_cqe(&ring, &cqe) == -EAGAIN, "it has completed with %d", cqe->res);
}

/* expect_done() - the next completion is this */
static void expect_done(uint64_t wanted_mark, int wanted)
{
	uint64_t mark;
	int result = completed(&mark, NULL);

	expect(mark == wanted_mark && result == wanted, "completion of %llu: %d, not %d of %llu",
	       (unsigned long long)mark, result, wanted, (unsigned long long)wanted_mark);
}

/* reads() - a read that waits for the peer */
static void reads(struct row *r, unsigned int flags)
{
	int fd = row_open(r, "r");

	ring_new();
	submit_rw(false, fd, buf, sizeof(buf), 1, flags);
	expect_pending();
	steps(r, "connect"); /* nothing comes of that */
	expect_pending();
	steps(r, "send 1000");
	expect_done(1, 1000);
	expect_pattern(buf, 0, 1000);
	steps(r, "send 1000; taken");
	submit_rw(false, fd, buf, 1000, 2, flags); /* it need not wait */
	expect_done(2, 1000);
	expect_pattern(buf, 1000, 1000);
	submit_rw(false, fd, buf, 1, 3, flags);
	steps(r, "leave");
	expect_done(3, 0);
}

ROW(uring_read)
{
	reads(r, 0);
}

ROW(uring_read_async)
{
	reads(r, IOSQE_ASYNC);
}

/* writes() - writes that wait for room */
static void writes(struct row *r, unsigned int flags)
{
	int fd = row_open(r, "w");

	ring_new();
	pattern_fill(buf, 7, 0, sizeof(buf));
	submit_rw(true, fd, buf, ROW_RING_BYTES, 1, flags);
	expect_done(1, (int)ROW_RING_BYTES);
	submit_rw(true, fd, buf + ROW_RING_BYTES, PIPE_BUF, 2, flags); /* it is full */
	expect_pending();
	steps(r, "connect");
	expect_done(2, PIPE_BUF);
	steps(r, "expect 68K; leave; wait w ERR");
	submit_rw(true, fd, buf, 1, 3, flags);
	expect_done(3, -EPIPE);
}

ROW(uring_write)
{
	writes(r, 0);
}

ROW(uring_write_async)
{
	writes(r, IOSQE_ASYNC);
}

/* expect_nowait() - a call with RWF_NOWAIT completes with this */
static void expect_nowait(bool writes, int fd, size_t bytes, int wanted)
{
	submit_rwf(writes, fd, buf, bytes, 1, 0, RWF_NOWAIT);
	expect_done(1, wanted);
}

ROW(uring_nowait)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w");

	ring_new();
	expect_nowait(false, rx, 10, -EAGAIN);
	expect_nowait(true, tx, sizeof(buf), (int)ROW_RING_BYTES);
	expect_nowait(true, tx, 1, -EAGAIN);
}

/*
 * expect_cancels() - a call that waits can be cancelled
 * @wanted_mark: its mark
 *
 * While a worker runs the call, the request may have to be repeated. -ENOENT comes before the
 * worker is known to have the call: io_uring looks first among the calls that wait for a worker,
 * then among the workers. -EALREADY comes afterwards: a worker that waits in the call is
 * interrupted, but one that is about to leave the call to a poll does so.
 */
static void expect_cancels(uint64_t wanted_mark)
{
	const uint64_t cancel_mark = wanted_mark + 1;
	bool gone = false, asked = false, granted = false;

	while (!gone || asked) {
		uint64_t mark;
		int result;

		if (!gone && !asked && !granted) {
			io_uring_prep_cancel64(new_sqe(), wanted_mark, 0);
			submit(cancel_mark);
			asked = true;
		}
		result = completed(&mark, NULL);
		if (mark == wanted_mark) {
			expect(result == -ECANCELED || result == -EINTR, "call: %d", result);
			gone = true;
		} else {
			expect(result == 0 || result == -EALREADY || result == -ENOENT,
			       "cancel: %d", result);
			asked = false;
			granted = !result;
		}
	}
}

/* cancels() - a call that waits is cancelled, and has taken or written nothing */
static void cancels(struct row *r, unsigned int flags)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w");

	ring_new();
	steps(r, "fill w");
	for (unsigned int i = 0; i < 2; i++) {
		submit_rw(i == 1, i ? tx : rx, buf, 100, 1, flags);
		expect_pending();
		expect_cancels(1);
	}
	/* The cancelled read took nothing, and nothing came of the write */
	steps(r, "connect; skip 64K; send 10; read r 10; close w; eof");
}

ROW(uring_cancel)
{
	cancels(r, 0);
}

ROW(uring_cancel_async)
{
	cancels(r, IOSQE_ASYNC);
}

/* When an io_uring goes away, the calls that wait in it end */
ROW(uring_exit_while_waiting)
{
	int rx = row_open(r, "r; open w");

	ring_new();
	submit_rw(false, rx, buf, 10, 1, 0);
	submit_rw(false, rx, buf, 10, 2, IOSQE_ASYNC);
	steps(r, "connect");
	io_uring_queue_exit(&ring);
	/* Once the kernel has cancelled everything it lets go of the files: the reader is gone */
	steps(r, "close w; eof; close r; open r; send 10; read r 10");
}

/* submit_poll() - a poll, which is not to complete now if @pending */
static void submit_poll(int fd, unsigned int events, uint64_t mark, bool pending)
{
	io_uring_prep_poll_add(new_sqe(), fd, events);
	submit(mark);
	if (pending)
		expect_pending();
}

ROW(uring_poll)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w");

	ring_new();
	submit_poll(tx, POLLOUT, 1, false);
	expect_done(1, POLLOUT);
	steps(r, "fill w");
	submit_poll(tx, POLLOUT, 2, true);
	steps(r, "connect; skip 64K");
	expect_done(2, POLLOUT);
	submit_poll(rx, POLLIN, 3, true);
	steps(r, "send 10");
	expect_done(3, POLLIN);
	steps(r, "read r 10");
	submit_poll(rx, POLLIN, 4, false);
	steps(r, "leave");
	expect_done(4, POLLHUP);
}

ROW(uring_poll_multi)
{
	int fd = row_open(r, "rn"), result;
	unsigned int flags;
	uint64_t mark;

	ring_new();
	io_uring_prep_poll_multishot(new_sqe(), fd, POLLIN);
	submit(1);
	steps(r, "connect");
	for (unsigned int i = 0; i < 20; i++) {
		size_t got = 0;

		steps(r, "send 100");
		while (got < 100) { /* a completion may be about bytes that were read before */
			ssize_t n;

			result = completed(&mark, &flags);
			expect(mark == 1 && result > 0 && (result & POLLIN), "poll: %d", result);
			expect(flags & IORING_CQE_F_MORE, "the poll has ended");
			while ((n = read(fd, buf, sizeof(buf))) > 0)
				got += (size_t)n;
			expect(n < 0 && errno == EAGAIN, "read returned %zd: %m", n);
		}
		expect(got == 100, "%zu bytes came", got);
	}
	io_uring_prep_poll_remove(new_sqe(), 1);
	submit(2);
	do { /* earlier completions may come first */
		result = completed(&mark, &flags);
	} while (mark == 1 && (flags & IORING_CQE_F_MORE));
	expect(mark == 2 ? result == 0 : result == -ECANCELED, "%llu: %d", (unsigned long long)mark,
	       result);
}

ROW(uring_vectors_linked)
{
	int fd = row_open_echo(r, "echo");
	struct iovec out[2] = { { buf, 1000 }, { buf + 1000, 3000 } };
	struct iovec in[2] = { { buf + 8000, 3999 }, { buf + 8000 + 3999, 1 } };
	struct io_uring_sqe *sqe;
	int n;

	ring_new();
	pattern_fill(buf, 7, 0, 4000);
	sqe = new_sqe();
	io_uring_prep_writev(sqe, fd, out, 2, (uint64_t)-1);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	io_uring_sqe_set_data64(sqe, 1);
	sqe = new_sqe();
	io_uring_prep_readv(sqe, fd, in, 2, (uint64_t)-1);
	io_uring_sqe_set_data64(sqe, 2);
	n = io_uring_submit(&ring);
	expect(n == 2, "io_uring_submit returned %d", n);
	expect_done(1, 4000);
	expect_done(2, 4000);
	expect_pattern(buf + 8000, 0, 4000);
}

#define STREAM_BYTES (1U << 20)
#define UNIT         8192U

/* Both directions at once over an echo, with one call of each under way at a time */
ROW(uring_stream)
{
	int fd = row_open_echo(r, "echo");
	static char in[UNIT], out[UNIT];
	size_t sent = 0, got = 0;

	ring_new();
	pattern_fill(out, 7, 0, UNIT);
	submit_rw(true, fd, out, UNIT, 1, 0);
	submit_rw(false, fd, in, UNIT, 2, 0);
	while (got < STREAM_BYTES) {
		uint64_t mark;
		int n = completed(&mark, NULL);

		expect(n > 0, "call %llu: %d", (unsigned long long)mark, n);
		if (mark == 2) {
			expect_pattern(in, got, (size_t)n);
			got += (size_t)n;
			if (got < STREAM_BYTES)
				submit_rw(false, fd, in, UNIT, 2, 0);
			continue;
		}
		sent += (size_t)n;
		pattern_fill(out, 7, sent, UNIT);
		if (sent < STREAM_BYTES)
			submit_rw(true, fd, out,
				  STREAM_BYTES - sent < UNIT ? STREAM_BYTES - sent : UNIT, 1, 0);
	}
	expect(got == STREAM_BYTES && sent == STREAM_BYTES, "%zu sent, %zu came", sent, got);
}

/* Many reads wait at once; each byte goes to one of them, and all of them get the end-of-file */
ROW(uring_many_reads)
{
	int fd = row_open(r, "r");
	size_t got = 0;
	unsigned int n_eof = 0;

	ring_new();
	for (unsigned int i = 0; i < 32; i++)
		submit_rw(false, fd, buf + i * 1000, 1000, i, i % 2 ? IOSQE_ASYNC : 0);
	expect_pending();
	steps(r, "connect; send 16000; leave");
	for (unsigned int i = 0; i < 32; i++) {
		int n = completed(NULL, NULL);

		expect(n >= 0, "read: %d", n);
		got += (size_t)n;
		n_eof += n == 0;
	}
	expect(got == 16000 && n_eof > 0, "%zu bytes, %u ends", got, n_eof);
}
