/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * utf8.h - text of a peer's, which may be any bytes
 */
#ifndef OKL4FSD_UTIL_UTF8_H
#define OKL4FSD_UTIL_UTF8_H

#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/**
 * utf8_sequence_bytes() - length of the character at @text, which is not at its end; 0: there is none
 *	(RFC 3629, section 4)
 */
size_t utf8_sequence_bytes(const char *text);

/** utf8_clean() - copy to @out, three bytes for each of @text; what is not UTF-8 becomes U+FFFD */
void utf8_clean(char *out, const char *text);

#endif
