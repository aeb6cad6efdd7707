/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * say.h - lines on stderr, for a person or for the journal
 */
#ifndef OKL4FS_SERVE_SAY_H
#define OKL4FS_SERVE_SAY_H

#include <stdbool.h>
#include <syslog.h> /* LOG_ERR and its relatives */

/** say_setup() - @verbose: LOG_DEBUG is written, too */
void say_setup(bool verbose);

/**
 * say() - write one line
 * @level: LOG_ERR to LOG_DEBUG. The journal gets it as sd-daemon(3) describes, a terminal our name
 * @fmt: the line, without a newline
 */
__attribute__((format(printf, 2, 3))) void say(int level, const char *fmt, ...);

#endif
