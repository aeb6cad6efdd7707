/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach.h - the parts of `attach`
 *
 *	attach.c	the command: options, which channel, what its end means
 *	pump.c		moves the bytes
 *	news.c		what the daemon tells meanwhile
 *	console.c	with a terminal at both ends: the escape, and the window's size
 *	progress.c	--progress
 */
#ifndef OKL4FSD_CTL_ATTACH_H
#define OKL4FSD_CTL_ATTACH_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/connection.h"
#include "util/csi.h"

#define ATTACH_BYTES 65536

/**
 * enum attach_mode - what the user wants
 * @ATTACH_BOTH: both directions, until the guest's stream ends
 * @ATTACH_SEND: stdin to the guest, until the guest has taken everything
 * @ATTACH_RECEIVE: the guest's stream to stdout; stdin is not read
 * @ATTACH_CONSOLE: a terminal in raw mode
 */
enum attach_mode { ATTACH_BOTH, ATTACH_SEND, ATTACH_RECEIVE, ATTACH_CONSOLE };

/**
 * struct attach_way - one direction
 * @from: read from here
 * @to: write to here
 * @to_max: bytes per write
 * @at: first byte of @buf that is not written
 * @end: behind its last byte
 * @eof: nothing more comes
 * @dead: nothing more is taken
 * @error: errno of the read that ended it, or of the write that found it dead
 * @total: bytes read
 * @moved: bytes written
 * @buf: buffer
 */
struct attach_way {
	int from, to;
	size_t to_max;
	size_t at, end;
	bool eof, dead;
	int error;
	unsigned long long total, moved;
	char buf[ATTACH_BYTES + CSI_MAX_BYTES];
};

/**
 * struct attach_news - what the daemon has told about the channel since we connected
 * @connection: to the daemon
 * @is_open: there is one, and it works
 * @guest, @channel: which events are for us; borrowed
 * @connected: the channel has taken our connection
 * @disconnected: our connection is over
 * @torn: and bytes of the guest's stream are lost
 * @removed: the channel is no longer offered
 * @taken: it is known whether the guest has taken everything
 * @all: it has
 * @guest_writes: and has the channel open for writing
 */
struct attach_news {
	struct connection connection;
	bool is_open;
	const char *guest, *channel;
	bool connected, disconnected, torn, removed, taken, all, guest_writes;
};

/** attach_news_open() - have the daemon tell; Return: CTL_DONE or the error of @news->connection */
enum ctl_exit attach_news_open(struct attach_news *news, const struct ctl *ctl);

/** attach_news_take() - take what has come, without waiting; clears @news->is_open on an error */
void attach_news_take(struct attach_news *news);

/** attach_news_wait() - wait until our connection is over; Return: CTL_DONE or CTL_NO_DAEMON */
enum ctl_exit attach_news_wait(struct attach_news *news);

/** attach_news_close() - have it tell no more */
void attach_news_close(struct attach_news *news);

/**
 * struct attach_console - the terminal
 * @escape: the key that ends the command; -1: none
 * @escape_name: how it is shown
 * @from_guest: looks for requests for the window's size
 * @reports: the guest wants it
 * @report: one that is not sent yet
 * @report_bytes: its length
 */
struct attach_console {
	int escape;
	char escape_name[8];
	struct csi from_guest;
	bool reports;
	char report[CSI_MAX_BYTES];
	size_t report_bytes;
};

/** attach_console_parse() - the value of --escape, NULL if it was not given; Return: false: invalid */
bool attach_console_parse(struct attach_console *c, const char *text);

/** attach_console_filter() - take requests out of what the guest sent (@w's buffer) */
void attach_console_filter(struct attach_console *c, struct attach_way *w);

/** attach_console_release() - what was held in case it became a request goes to the terminal */
void attach_console_release(struct attach_console *c, struct attach_way *w);

/** attach_console_resized() - the window has another size: make a report, if the guest wants one */
void attach_console_resized(struct attach_console *c);

/** attach_console_put_report() - put a report into the empty buffer of @w */
void attach_console_put_report(struct attach_console *c, struct attach_way *w);

/** attach_console_escaped() - cut what was typed at the escape; Return: true when it was typed */
bool attach_console_escaped(const struct attach_console *c, struct attach_way *w);

/**
 * struct attach_progress - a line on stderr that shows how much has moved
 * @on: wanted
 * @live: on a terminal: it changes in place; else only the last one is printed
 * @begin_us: when this began
 * @shown_us: when the line was printed; 0: not yet
 * @shown_bytes: what it showed
 * @stalled: it shows that nothing moves
 */
struct attach_progress {
	bool on, live, stalled;
	unsigned long long begin_us, shown_us, shown_bytes;
};

/** attach_progress_begin() - begin to measure */
void attach_progress_begin(struct attach_progress *p, bool on);

/** attach_progress_show() - print the line if it is due; Return: ms until it will be due; -1: never */
int attach_progress_show(struct attach_progress *p, unsigned long long bytes);

/** attach_progress_end() - print it a last time, with the mean rate */
void attach_progress_end(struct attach_progress *p, unsigned long long bytes);

/**
 * struct attach - a connection to a channel
 * @mode: what the user wants
 * @name: GUEST/CHANNEL, for messages
 * @fd: connected to the channel; -1: not
 * @up: stdin to the guest
 * @down: the guest to stdout
 * @half_closed: @fd is shut down for writing
 * @accepted: the daemon did not refuse the connection
 * @escaped: the user has ended it
 * @has_sessions: the channel has: the connection is a stream of its own, and the daemon tells nothing of it
 */
struct attach {
	enum attach_mode mode;
	const char *name;
	int fd;
	struct attach_way up, down;
	struct attach_news news;
	struct attach_console console;
	struct attach_progress progress;
	bool half_closed, accepted, escaped, has_sessions;
};

/** attach_pump() - move bytes until the connection is over, or has done what the user wants */
void attach_pump(struct attach *a);

/** attach_way_done() - whether a direction has ended and nothing of it is left */
bool attach_way_done(const struct attach_way *w);

#endif
