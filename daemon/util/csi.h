/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * csi.h - control sequences of a terminal that are for us, in a stream that is for someone else
 *
 * okl4fsctl looks for such sequences in what a guest prints, okl4fs-login in what comes from the host.
 * Both speak "in-band window resize notifications" (mode 2048 of terminals):
 *
 *	ESC [ ? 2048 h	from now on, report the size: now, and whenever it changes
 *	ESC [ ? 2048 l	report no more
 *	ESC [ 48 ; ROWS ; COLUMNS ; HEIGHT ; WIDTH t	a report; the last two in pixels, or 0
 */
#ifndef OKL4FSD_UTIL_CSI_H
#define OKL4FSD_UTIL_CSI_H

#include <stdbool.h>
#include <stddef.h>

#define CSI_ESC        "\033["
#define CSI_REPORT_ON  "?2048h"
#define CSI_REPORT_OFF "?2048l"
#define CSI_MAX_BYTES  48U

/** CSI_HOLD_MS - the rest of a sequence comes within this time; else it was the key Esc */
#define CSI_HOLD_MS 100

/**
 * struct csi - a stream
 * @held: the beginning of what may become a sequence
 * @n: how much of it there is; as long as it is not 0, call csi_release() after CSI_HOLD_MS
 */
struct csi {
	char held[CSI_MAX_BYTES];
	size_t n;
};

/**
 * csi_pass() - pass a piece of the stream on, except for sequences that are for us
 * @c: stream
 * @in: piece
 * @bytes: its length
 * @out: room for @bytes + CSI_MAX_BYTES
 * @take: called with what follows ESC [ of each complete sequence; Return: true when it is for us
 * @arg: its argument
 *
 * Return: bytes in @out.
 */
size_t csi_pass(struct csi *c, const char *in, size_t bytes, char *out,
		bool (*take)(void *arg, const char *sequence), void *arg);

/** csi_release() - pass on what is held, to @out (CSI_MAX_BYTES); Return: bytes in @out */
size_t csi_release(struct csi *c, char *out);

/** csi_make_report() - write a report to @out (CSI_MAX_BYTES); Return: bytes */
size_t csi_make_report(char *out, unsigned int rows, unsigned int columns);

/** csi_read_report() - whether @sequence is a report, of sizes from 1 to 65535 */
bool csi_read_report(const char *sequence, unsigned short *rows, unsigned short *columns);

#endif
