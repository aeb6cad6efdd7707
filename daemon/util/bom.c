// SPDX-License-Identifier: BSD-3-Clause
#include "util/bom.h"

#include <string.h>

const char *bom_refusal(const char *text, size_t bytes)
{
	if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return "a UTF-8 byte order mark stands before the JSON: remove it (editors call "
		       "that \"UTF-8 without BOM\")";
	if (bytes >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		return "the text is UTF-16: JSON must be UTF-8";
	return NULL;
}
