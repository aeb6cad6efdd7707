/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - the table of the fifo's behaviour, and its comparison with a fifo of Linux
 *
 * A row runs in a fresh process on a channel of its own, whose name is the row's, so rows cannot
 * disturb each other. The host's end of that channel is a peer which the row itself directs, over
 * the channel `peer_ctl` (tests/vm/fifo_peer.py lists its commands).
 *
 * A scenario is a row that runs twice, on a channel and on a fifo of Linux, whose peer is this
 * process itself. Instead of checking what its calls return, it says so in a few words. Where the
 * words differ, docs/okl4fs.7 says why.
 *
 * Either is a function, or a text of steps (steps.c), separated by `;`. END is the name of a
 * descriptor and how it is opened: `r`, `w` or `b` (both), then perhaps `n` (O_NONBLOCK) and a
 * digit. BYTES may be a sum, as in 64K+10. RESULT is a number or an errno; a scenario leaves it out.
 *
 *   open END [RESULT], close END      of the row's node, made if need be
 *   read END BYTES [RESULT]           without a result: until all have come; the peer's pattern
 *   write END BYTES [RESULT]          without a result: all; the pattern that the peer expects
 *   start read|write END BYTES        in a thread, which must fall asleep
 *   blocked, joined RESULT            it sleeps still; it returns
 *   try read|write END BYTES          (scenario) the result, or that it blocks
 *   try open END                      (scenario) the same for opening the node
 *   catch NAME [restart], caught N    count a signal (with SA_RESTART); it came so often
 *   signal                            SIGUSR1 interrupts the thread
 *   poll END [EVENTS]                 what poll(2) says at this moment: IN|OUT|HUP|ERR or none
 *   wait END ASKED [EVENTS]           wait until poll(2) says so, or just EVENTS
 *   fill END                          write without blocking until the ring is full
 *   leave                             the peer's `close`
 *   connect, send BYTES, ...          the peer's other commands
 *   idle                              (scenario) bytes can be written, and nobody takes them
 */
#ifndef OKL4TEST_ROWS_H
#define OKL4TEST_ROWS_H

#include <stdint.h>
#include <sys/types.h>

#include "util.h"

/* Bytes of each ring of a row's channel; the configuration has the same number */
#define ROW_RING_BYTES 65536U

/* The pattern between a row and its peer; tests/vm/fifo_peer.py makes the same bytes */
#define ROW_SEED 7

#define ROW_ENDS 8

/**
 * struct row - the row that runs
 * @name: its name and its channel's
 * @dir: where okl4fs is mounted
 * @path: its node
 * @control: descriptor of the channel `peer_ctl`, or -1
 * @ends: what its steps have opened
 * @sent: bytes of the pattern that were written to the peer
 * @taken: and that it has taken
 * @received: bytes of the peer's pattern that were read
 * @call: the call that its steps have started
 * @said: (scenario) what the calls returned; else NULL
 * @fifo: (scenario) it is a fifo of Linux; else a channel
 * @peer: (scenario) the fifo's peer, reading and writing; -1 when it is not there
 */
struct row {
	const char *name;
	const char *dir;
	char path[256];
	int control;
	struct {
		char name[4];
		int fd;
	} ends[ROW_ENDS];
	uint64_t sent, taken, received;
	struct async call;
	char *said;
	bool fifo;
	int peer[2];
};

/**
 * struct row_entry - a row or a scenario
 * @name: what it is called; of a scenario, also the difference's name in docs/okl4fs.7
 * @run: returns if everything was right, else ends the program; or NULL
 * @steps: instead of @run
 */
struct row_entry {
	const char *name;
	void (*run)(struct row *r);
	const char *steps;
};

/* The linker gathers the entries of all files, in a section for each kind */
#define ROW_ENTRY(kind_, name_, run_, steps_)                                           \
	static const struct row_entry kind_##_entry_##name_ = { #name_, run_, steps_ }; \
	static const struct row_entry *const kind_##_at_##name_                         \
		__attribute__((used, section(#kind_))) = &kind_##_entry_##name_

#define ROW_FUNCTION(kind_, name_)                      \
	static void kind_##_##name_(struct row *r);     \
	ROW_ENTRY(kind_, name_, kind_##_##name_, NULL); \
	static void kind_##_##name_(struct row *r __attribute__((unused)))

#define ROW(name)                  ROW_FUNCTION(rows, name)
#define ROW_STEPS(name, text)      ROW_ENTRY(rows, name, NULL, text)
#define SCENARIO(name)             ROW_FUNCTION(scenarios, name)
#define SCENARIO_STEPS(name, text) ROW_ENTRY(scenarios, name, NULL, text)

/** row_run() - run an entry's function or steps */
void row_run(const struct row_entry *entry, struct row *r);

/** steps() - carry out steps; fails the row when one does not do what it says */
__attribute__((format(printf, 2, 3))) void steps(struct row *r, const char *fmt, ...);

/** row_make() - make the row's node */
void row_make(struct row *r);

/** row_open() - an END to open, then perhaps `;` and steps; Return: the descriptor of END */
int row_open(struct row *r, const char *text);

/** row_end() - the place of a descriptor that steps have opened */
int *row_end(struct row *r, const char *end);

/** row_path() - PATH of another channel's node, made if need be; Return: static memory */
const char *row_path(struct row *r, const char *channel);

/** row_open_echo() - open a channel that echoes, both ways, and wait until the echo is open, too */
int row_open_echo(struct row *r, const char *channel);

/** peer() - have the host's end do something and wait until it has; fails the row when it cannot */
void peer(struct row *r, const char *command);

/** expect_pattern() - the bytes are those that the peer's `send` makes, from @offset on */
void expect_pattern(const void *buf, uint64_t offset, size_t bytes);

/** send_pattern() - write bytes that the peer's `expect` knows, from @offset on; blocks */
void send_pattern(int fd, uint64_t offset, size_t bytes);

/** catch_signal() - count deliveries of a signal, with @flags of sigaction(2); Return: the counter */
volatile int *catch_signal(int number, int flags);

/** interrupt() - have a blocked call's thread handle one SIGUSR1 */
void interrupt(struct async *a);

/** become_plain() - become an ordinary user; only in a child */
void become_plain(void);

/** in_child() - fork; Return: true in the child, which exits with 0; false after that */
bool in_child(void);

/** say() - add a word to what a scenario says */
__attribute__((format(printf, 2, 3))) void say(struct row *r, const char *fmt, ...);

/** say_result() - add what a call returned: a number, or the name of errno */
void say_result(struct row *r, long result);

/** say_call() - add that an async blocks, or @good, or its result */
void say_call(struct row *r, struct async *a, const char *good);

#endif
