// SPDX-License-Identifier: BSD-3-Clause
/*
 * format.c - which of the text formats a client asks for
 */
#include "metrics/format.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *media_type, *content_type;
} formats[] = {
	[METRICS_OPENMETRICS] = { "application/openmetrics-text",
				  "application/openmetrics-text; version=1.0.0; charset=utf-8" },
	[METRICS_PROMETHEUS] = { "text/plain", "text/plain; version=0.0.4; charset=utf-8" },
};
_Static_assert(sizeof(formats) / sizeof(formats[0]) == N_METRICS_FORMATS, "a row for each format");

#define BLANKS " \t"

const char *metrics_content_type(enum metrics_format format)
{
	return formats[format].content_type;
}

/* The weight of a media range in thousandths, 1000 if none is given (RFC 9110, section 12.4.2) */
static int quality_of(const char *params, size_t bytes)
{
	const char *end = params + bytes;

	while (params < end && (params = memchr(params, ';', (size_t)(end - params)))) {
		params++;
		params += strspn(params, BLANKS);
		if (end - params >= 2 && !strncasecmp(params, "q=", 2)) {
			double q = strtod(params + 2, NULL);

			if (!(q > 0)) /* also if it is not a number */
				return 0;
			return q < 1 ? (int)(q * 1000 + 0.5) : 1000;
		}
	}
	return 1000;
}

/* Likewise of a media type; 0: the client does not want it, or does not name it */
static int quality(const char *accept, const char *type)
{
	size_t length = strlen(type);
	int best = 0;

	while (*accept) {
		size_t bytes = strcspn(accept, ",");
		const char *range = accept + strspn(accept, BLANKS);
		const char *end = accept + bytes;

		if (range < end && !strncasecmp(range, type, length) &&
		    strchr(BLANKS ";,", range[length])) {
			int q = quality_of(range + length, (size_t)(end - range) - length);

			best = q > best ? q : best;
		}
		accept = *end ? end + 1 : end;
	}
	return best;
}

enum metrics_format metrics_choose(const char *accept)
{
	int open, plain;

	if (!accept)
		return METRICS_PROMETHEUS;
	open = quality(accept, formats[METRICS_OPENMETRICS].media_type);
	plain = quality(accept, formats[METRICS_PROMETHEUS].media_type);
	return open > 0 && open >= plain ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}
