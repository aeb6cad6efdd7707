// SPDX-License-Identifier: BSD-3-Clause
#include "util/csi.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESC '\033'

size_t csi_release(struct csi *c, char *out)
{
	size_t n = c->n;

	memcpy(out, c->held, n);
	c->n = 0;
	return n;
}

/* Whether @b continues what is held; ECMA-48, section 5.4: parameters and intermediate bytes */
static bool goes_on(const struct csi *c, unsigned char b)
{
	if (c->n == 1)
		return b == '[';
	return b >= 0x20 && b <= 0x3f && c->n < CSI_MAX_BYTES - 2;
}

static bool ends(const struct csi *c, unsigned char b)
{
	return c->n >= 2 && b >= 0x40 && b <= 0x7e;
}

size_t csi_pass(struct csi *c, const char *in, size_t bytes, char *out,
		bool (*take)(void *arg, const char *sequence), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		unsigned char b = (unsigned char)in[i];

		if (c->n && ends(c, b)) {
			c->held[c->n++] = in[i];
			c->held[c->n] = 0;
			if (take(arg, c->held + 2))
				c->n = 0;
			else
				n += csi_release(c, out + n);
			continue;
		}
		if (c->n && !goes_on(c, b))
			n += csi_release(c, out + n);
		if (c->n || b == ESC)
			c->held[c->n++] = in[i];
		else
			out[n++] = in[i];
	}
	return n;
}

size_t csi_make_report(char *out, unsigned int rows, unsigned int columns)
{
	return (size_t)snprintf(out, CSI_MAX_BYTES, CSI_ESC "48;%u;%u;0;0t", rows, columns);
}

bool csi_read_report(const char *sequence, unsigned short *rows, unsigned short *columns)
{
	unsigned long number[5]; /* 48, rows, columns, and two of pixels, which may be left out */
	size_t n = 0;
	char *end;

	for (;; sequence = end + 1) {
		if (n == 5 || !isdigit((unsigned char)*sequence))
			return false;
		number[n++] = strtoul(sequence, &end, 10);
		if (*end != ';')
			break;
	}
	if (strcmp(end, "t") != 0 || number[0] != 48 || (n != 3 && n != 5) || !number[1] ||
	    !number[2] || number[1] > USHRT_MAX || number[2] > USHRT_MAX)
		return false;
	*rows = (unsigned short)number[1];
	*columns = (unsigned short)number[2];
	return true;
}
