// SPDX-License-Identifier: BSD-3-Clause
/*
 * A program in the guest that wants to know the window's size asks as it would ask a terminal: by
 * mode 2048 (util/csi.h). Nothing is added to what is typed before it has asked.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/attach/attach.h"
#include "ctl/terminal.h"

#define DEFAULT_ESCAPE "^]"

bool attach_console_parse(struct attach_console *c, const char *text)
{
	if (!text)
		text = DEFAULT_ESCAPE;
	if (!strcmp(text, "none")) {
		c->escape = -1;
		return true;
	}
	snprintf(c->escape_name, sizeof(c->escape_name), "%s", text);
	if (text[0] == '^' && text[1] >= '@' && text[1] <= '~' && !text[2])
		c->escape = text[1] & 0x1f; /* the key with Ctrl */
	else if (text[0] > ' ' && text[0] <= '~' && !text[1])
		c->escape = (unsigned char)text[0];
	else
		return false;
	return true;
}

void attach_console_resized(struct attach_console *c)
{
	size_t columns, rows;

	if (!c->reports)
		return;
	terminal_size(&columns, &rows);
	c->report_bytes = csi_make_report(c->report, (unsigned int)rows, (unsigned int)columns);
}

static bool take_request(void *arg, const char *sequence)
{
	struct attach_console *c = arg;

	if (!strcmp(sequence, CSI_REPORT_OFF)) {
		c->reports = false;
		c->report_bytes = 0;
		return true;
	}
	if (strcmp(sequence, CSI_REPORT_ON) != 0)
		return false;
	c->reports = true;
	attach_console_resized(c);
	return true;
}

void attach_console_filter(struct attach_console *c, struct attach_way *w)
{
	static char out[sizeof(w->buf)];
	size_t n = csi_pass(&c->from_guest, w->buf, w->end, out, take_request, c);

	memcpy(w->buf, out, n);
	w->end = n;
}

void attach_console_release(struct attach_console *c, struct attach_way *w)
{
	w->at = 0;
	w->end = csi_release(&c->from_guest, w->buf);
}

void attach_console_put_report(struct attach_console *c, struct attach_way *w)
{
	memcpy(w->buf, c->report, c->report_bytes);
	w->at = 0;
	w->end = c->report_bytes;
	c->report_bytes = 0;
}

bool attach_console_escaped(const struct attach_console *c, struct attach_way *w)
{
	char *key = c->escape < 0 ? NULL : memchr(w->buf, c->escape, w->end);

	if (!key)
		return false;
	w->end = (size_t)(key - w->buf);
	return true;
}
