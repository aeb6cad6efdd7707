// SPDX-License-Identifier: BSD-3-Clause
/*
 * config.c - methods for the configuration as a whole
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/json.h"
#include "control/lines.h"
#include "util/fd.h"
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

int control_config_get(struct control_request *req, struct json_object **result)
{
	const char *path = server_config_path(req->server);
	_cleanup_free_ char *text = NULL;
	struct control_lines lines;
	size_t bytes;
	int r;

	if (!control_lines_begin(&lines))
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	r = server_running_text(req->server, &text, &bytes, lines.out);
	control_lines_end(&lines, req, r == -EINVAL ? CONTROL_REFUSED : 0);
	if (r && r != -EINVAL)
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	*result = json_object_new_object();
	if (path)
		control_add_path(*result, "path", path);
	else
		control_add_string(*result, "path", NULL);
	control_add_boolean(*result, "file_changed", server_file_has_changed(req->server));
	control_add_string(*result, "error", r ? req->error : NULL);
	control_add_string(*result, "text", bytes > CONFIG_MAX_BYTES ? NULL : text);
	return 0;
}

int control_config_saved(struct control_request *req, struct json_object **result)
{
	struct control_lines lines;
	int r;

	if (!control_lines_begin(&lines))
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	r = server_saved(req->server, lines.out);
	r = control_lines_end(&lines, req, r ? CONTROL_REFUSED : 0);
	if (r)
		return r;
	log_notice("the running configuration was saved to %s", server_config_path(req->server));
	*result = json_object_new_object();
	return 0;
}
