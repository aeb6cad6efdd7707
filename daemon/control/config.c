// SPDX-License-Identifier: BSD-3-Clause
/*
 * config.c - methods for the configuration as a whole
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/json.h"
#include "control/lines.h"
#include "util/log.h"

#define MAX_PROBLEMS 64 /* that are told; the rest is counted */

static void add_problem(void *arg, const char *sentence)
{
	struct json_object *list = arg;

	if (json_object_array_length(list) < MAX_PROBLEMS)
		json_object_array_add(list, json_object_new_string(sentence));
}

/* @n: how many there are; @list: the first of them */
static void add_problems(struct json_object *object, size_t n, struct json_object *list)
{
	control_add_number(object, "n_problems", n);
	json_object_object_add(object, "problems", list);
}

void control_add_problems(struct json_object *object, struct server *server)
{
	struct json_object *list = json_object_new_array();

	add_problems(object, server_problems(server, add_problem, list), list);
}

int control_config_reload(struct control_request *req, struct json_object **result)
{
	struct json_object *list;
	struct control_lines lines;
	size_t n = 0;
	int r;

	if (!control_lines_begin(&lines))
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	r = server_reload(req->server, lines.out);
	if (r) {
		r = control_lines_end(&lines, req, CONTROL_REFUSED);
		log_event(LOG_LEVEL_ERR, LOG_EVENT_RELOAD_REFUSED,
			  "reload: nothing was changed: %s", req->error);
		return r;
	}
	fflush(lines.out);
	list = json_object_new_array();
	for (char *line = strtok(lines.text, "\n"); line; line = strtok(NULL, "\n"), n++)
		add_problem(list, line);
	control_lines_end(&lines, req, 0);
	*result = json_object_new_object();
	control_add_number(*result, "guests", server_n_guests(req->server));
	add_problems(*result, n, list);
	return 0;
}
