// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_read.c - reading
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

ROW_STEPS(read_blocks, "open r; connect; start read r 64K; send 10; joined 10");
/* No end-of-file: the peer has never been there */
ROW_STEPS(read_waits_before_first_open,
	  "open r; start read r 64K; connect; blocked; send 10; joined 10");
ROW_STEPS(read_nonblock, "open rn; read rn 1 EAGAIN; connect; read rn 1 EAGAIN; send 10; "
			 "wait rn IN; read rn 64K 10; read rn 1 EAGAIN");
ROW_STEPS(read_returns_what_is_there,
	  "open r; connect; send 1000; taken; read r 300 300; read r 64K 700");
/* Nothing is lost, nothing is taken by the interrupted call */
ROW_STEPS(read_eintr, "open r; catch USR1; connect; start read r 64K; signal; joined EINTR; "
		      "caught 1; send 5000; read r 5000");
ROW_STEPS(read_eof_after_drain,
	  "open r; connect; send 1000; leave; read r 1000; read r 1 0; read r 1 0");
ROW_STEPS(read_eof_wakes_sleeper, "open r; connect; start read r 64K; leave; joined 0");
ROW_STEPS(read_goes_on_after_reopen, "open r; connect; send 1000; read r 1000; leave; read r 1 0; "
				     "connect; send 1001; read r 1001; leave; read r 1 0; "
				     "connect; send 1002; read r 1002; leave; read r 1 0");
/* As in the OKL4 example: close, open again, and wait for what the peer sends next */
ROW_STEPS(read_new_opener_waits,
	  "open r; connect; send 10; leave; read r 10; read r 1 0; close r; open r; "
	  "start read r 64K; connect; send 20; joined 20");
/*
 * As with a fifo, a reader that opens later does not get the end of an earlier stream: here the
 * peer came while the row read, and left after the row had closed. After `pause` the daemon has
 * finished with that: one thread does both.
 */
ROW_STEPS(read_new_opener_no_stale_eof,
	  "open w; open r; connect; write w 10; expect 10; close r; leave; wait w ERR; pause; "
	  "close w; open r; poll r none; start read r 64K; connect; send 20; joined 20; "
	  "leave; read r 1 0");
/* But what a peer has sent while nobody was there is delivered, and its end after it */
ROW_STEPS(read_eof_of_missed_stream,
	  "open b; close b; connect; send 10; leave; open r; read r 10; read r 1 0");

#define N_READERS  4
#define N_UNITS    20000U
#define UNIT_BYTES 4U

/* reader_child() - read units until the mark, and record each one in the shared table */
static void reader_child(int fd, unsigned char *seen)
{
	uint32_t unit;

	for (;;) {
		read_all(fd, &unit, sizeof(unit));
		if (unit == UINT32_MAX)
			_exit(0);
		if (unit >= N_UNITS)
			fail("unit %#x was never written", unit);
		__atomic_fetch_add(&seen[unit], 1, __ATOMIC_RELAXED);
	}
}

/*
 * several_readers() - each byte goes to exactly one reader
 *
 * Four processes read units of four bytes that the writer wrote whole: a read takes what is there
 * up to its count, and the ring's content is always a multiple of four.
 */
ROW(several_readers)
{
	int fd = row_open_echo(r, "echo"), status;
	unsigned char *seen = mmap_shared(N_UNITS);
	pid_t pid[N_READERS];

	for (unsigned int i = 0; i < N_READERS; i++) {
		pid[i] = start_child();
		if (pid[i] == 0)
			reader_child(fd, seen);
	}
	for (uint32_t unit = 0; unit < N_UNITS; unit++)
		write_all(fd, &unit, sizeof(unit));
	for (unsigned int i = 0; i < N_READERS; i++)
		write_all(fd, &(uint32_t){ UINT32_MAX }, UNIT_BYTES);
	for (unsigned int i = 0; i < N_READERS; i++) {
		expect(waitpid(pid[i], &status, 0) == pid[i], "waitpid: %m");
		expect(status == 0, "reader %u ended with %#x", i, (unsigned int)status);
	}
	for (uint32_t unit = 0; unit < N_UNITS; unit++)
		expect(seen[unit] == 1, "unit %u was read %u times", unit, seen[unit]);
}
