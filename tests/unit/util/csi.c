// SPDX-License-Identifier: BSD-3-Clause
/* Which control sequences are taken out of a stream, however it is cut into pieces */
#include <criterion/criterion.h>
#include <string.h>

#include "util/csi.h"

static char taken[256];

static bool take_mode(void *arg, const char *sequence)
{
	if (strcmp(sequence, CSI_REPORT_ON) != 0)
		return false;
	strcat(taken, arg);
	return true;
}

/* Passes @in on in pieces of @piece bytes; Return: what came out, without what is held */
static const char *pass(struct csi *c, const char *in, size_t piece)
{
	static char mark[] = "*", out[256];
	size_t bytes = strlen(in), n = 0;

	for (size_t at = 0; at < bytes; at += piece)
		n += csi_pass(c, in + at, at + piece < bytes ? piece : bytes - at, out + n,
			      take_mode, mark);
	out[n] = 0;
	return out;
}

Test(csi, takes_only_what_is_for_us)
{
	static const char in[] = "a\033[?2048hb\033[31mc\033\033[?2048hd\033[?2048le\033[?204;8h"
				 "\033]0;\033\\\033[?2048h\033[\033[?2048h\n";
	static const char out[] = "ab\033[31mc\033d\033[?2048le\033[?204;8h\033]0;\033\\\033[\n";

	for (size_t piece = 1; piece < sizeof(in); piece++) {
		struct csi c = { .n = 0 };

		taken[0] = 0;
		cr_assert_str_eq(pass(&c, in, piece), out, "pieces of %zu", piece);
		cr_assert_str_eq(taken, "****");
		cr_assert_eq(c.n, 0);
	}
}

Test(csi, holds_no_more_than_it_has_room_for)
{
	struct csi c = { .n = 0 };
	char in[200] = "\033[", rest[CSI_MAX_BYTES];
	const char *out;
	size_t n;

	memset(in + 2, '1', sizeof(in) - 3);
	out = pass(&c, in, 7);
	n = strlen(out);
	cr_assert_eq(memcmp(out, in, n), 0);
	cr_assert_eq(n + c.n, sizeof(in) - 1);
	cr_assert_str_eq(pass(&c, "\033", 1), "");
	cr_assert_eq(csi_release(&c, rest), 1);
	cr_assert_eq(rest[0], '\033');
	cr_assert_eq(csi_release(&c, rest), 0);
}

Test(csi, reports)
{
	static const char *const bad[] = {
		"48t",       "48;1t",          "48;0;80t",         "48;24;0;0;0t", "48;24;80;1t",
		"48;24;80m", "48;24;80;0;0tt", "48;65536;80;0;0t", "8;24;80t",     "48;24;80;0;0"
	};
	unsigned short rows = 0, columns = 0;
	char report[CSI_MAX_BYTES];
	size_t n = csi_make_report(report, 24, 65535);

	report[n] = 0;
	cr_assert_str_eq(report, "\033[48;24;65535;0;0t");
	cr_assert(csi_read_report(report + 2, &rows, &columns));
	cr_assert(rows == 24 && columns == 65535);
	cr_assert(csi_read_report("48;1;2t", &rows, &columns));
	cr_assert(rows == 1 && columns == 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(csi_read_report(bad[i], &rows, &columns), "%s", bad[i]);
}
