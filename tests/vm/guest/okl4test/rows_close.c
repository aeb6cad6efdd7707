// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_close.c - closing: the last reader, the last writer, half-closes, dup and fork
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static char buf[ROW_RING_BYTES];

ROW_STEPS(close_delivers, "open w; write w 64K; close w; connect; expect 64K; eof");
ROW_STEPS(half_close_writer,
	  "open r; open w; connect; write w 100; close w; expect 100; eof; send 1000; read r 1000");
/* The last reader is not the last writer, and the other way round */
ROW_STEPS(readers_and_writers_count_apart,
	  "open b; open w; connect; close b; write w 100; expect 100; "
	  "open r; close w; eof; send 100; read r 100");
ROW_STEPS(peer_half_close_writer, "open r; open w; connect; send 100; shut_wr; read r 100; "
				  "read r 1 0; write w 1000; expect 1000");
ROW_STEPS(second_client_refused, "open b; connect; second_refused; write b 100; expect 100");

ROW(close_dup)
{
	int fd = row_open(r, "w; connect"), copy = dup(fd);

	expect(copy >= 0, "dup: %m");
	steps(r, "write w 100; close w");
	send_pattern(copy, 100, 100);
	steps(r, "expect 200"); /* an end-of-file between the two would show */
	close(copy);
	steps(r, "eof");
}

ROW(close_fork)
{
	int fd = row_open(r, "w; connect"), go[2], status;
	char byte;
	pid_t pid;

	expect(pipe(go) == 0, "pipe: %m");
	pid = start_child();
	if (pid == 0) { /* writes to a descriptor that the parent has closed */
		read_all(go[0], &byte, 1);
		send_pattern(fd, 100, 100);
		_exit(0);
	}
	steps(r, "write w 100; close w");
	write_all(go[1], "g", 1);
	steps(r, "expect 200");
	expect(waitpid(pid, &status, 0) == pid && status == 0, "the child failed");
	steps(r, "eof");
}

/*
 * A client that writes while the guest has no reader is held back, and what it wrote goes to the
 * next reader: the client's stream does not end when a reader of the guest leaves.
 */
ROW(half_close_reader)
{
	steps(r, "open r; open w; connect; flood 192K; read r 1000; close r; write w 1000; "
		 "expect 1000; open r");
	while (r->received < 3 * ROW_RING_BYTES) {
		ssize_t n = read(*row_end(r, "r"), buf, sizeof(buf));

		expect(n > 0, "after %zu bytes read returned %zd: %m", (size_t)r->received, n);
		expect_pattern(buf, r->received, (size_t)n);
		r->received += (size_t)n;
	}
}

ROW(peer_half_close_reader)
{
	uint64_t end = now_ns() + LIMIT_SECONDS / 2 * 1000000000ULL;
	int tx = row_open(r, "w; open r; connect; shut_rd");

	/* the daemon notices when it writes */
	while (write(tx, buf, 1) == 1)
		expect(now_ns() < end, "writing to a peer that does not read goes on");
	expect(errno == EPIPE, "write: %m");
	steps(r, "send 1000; read r 1000");
}

ROW(reopen_new_stream)
{
	for (unsigned int i = 0; i < 5; i++)
		steps(r,
		      "open b; connect; write b %u; expect %u; send %u; read b %u; close b; eof; "
		      "leave",
		      100 + i, 100 + i, 200 + i, 200 + i);
}
