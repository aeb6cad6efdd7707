// SPDX-License-Identifier: BSD-3-Clause
#include "control/lines.h"

#include <stdlib.h>
#include <string.h>

#include "control/call.h"

bool control_lines_begin(struct control_lines *l)
{
	*l = (struct control_lines){ .out = NULL };
	l->out = open_memstream(&l->text, &l->bytes);
	return l->out;
}

int control_lines_end(struct control_lines *l, struct control_request *req, int code)
{
	size_t at = 0;

	fclose(l->out);
	req->error[0] = 0;
	for (char *line = strtok(l->text, "\n"); line && code; line = strtok(NULL, "\n")) {
		int n = snprintf(req->error + at, sizeof(req->error) - at, "%s%s", at ? "; " : "",
				 line);

		at += n < 0 ? 0 : (size_t)n;
		if (at >= sizeof(req->error))
			break;
	}
	free(l->text);
	return code && !at ? control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory") : code;
}
