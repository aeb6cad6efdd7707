// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * status.c - names and sentences of the statuses
 *
 * Both tables are made from OKL4_STATUS_LIST, so there is no status without a name. A number that
 * is given twice is a compiler warning (-Woverride-init); one at or past OKL4_STATUS_END is an
 * error.
 */
#include <libfs/status.h>

#define STATUS_NAME(name, number, sentence) [number] = #name,
#define STATUS_TEXT(name, number, sentence) [number] = sentence,
#define STATUS_BELOW_END(name, number, sentence) \
	OKL4_STATIC_ASSERT((number) >= 0 && (number) < OKL4_STATUS_END, #name " is out of range");

static const char *const status_name[] = { OKL4_STATUS_LIST(STATUS_NAME) };
static const char *const status_text[] = { OKL4_STATUS_LIST(STATUS_TEXT) };

OKL4_STATUS_LIST(STATUS_BELOW_END)
OKL4_STATIC_ASSERT(sizeof(status_name) / sizeof(status_name[0]) == OKL4_STATUS_END,
		   "OKL4_STATUS_END follows the last status");
OKL4_STATIC_ASSERT(sizeof(status_text) == sizeof(status_name), "a sentence for each name");

/* OKL4_STATUS_END for a status that does not exist */
static unsigned int status_index(int status)
{
	unsigned int idx = status < 0 ? 0U - (unsigned int)status : (unsigned int)status;

	return idx < OKL4_STATUS_END && status_name[idx] ? idx : OKL4_STATUS_END;
}

const char *okl4_status_name(int status)
{
	unsigned int idx = status_index(status);

	return idx < OKL4_STATUS_END ? status_name[idx] : "?";
}

const char *okl4_status_text(int status)
{
	unsigned int idx = status_index(status);

	return idx < OKL4_STATUS_END ? status_text[idx] : "unknown status";
}
