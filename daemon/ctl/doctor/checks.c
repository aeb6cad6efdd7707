// SPDX-License-Identifier: BSD-3-Clause
/*
 * checks.c - the list of checks, as text and as JSON
 */
#include "ctl/doctor/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/result.h"
#include "ctl/text.h"
#include "util/fd.h"

static const char *const kind_names[] = {
	[CHECK_GROUP] = "group",   [CHECK_DAEMON] = "daemon", [CHECK_GUEST] = "guest",
	[CHECK_SOCKET] = "socket", [CHECK_QEMU] = "qemu",     [CHECK_MEMORY] = "memory",
	[CHECK_DRIVER] = "driver", [CHECK_OPENED] = "opened", [CHECK_ENDPOINT] = "endpoint",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == N_CHECKS, "a name for each");

static const char *const state_names[] = {
	[CHECK_OK] = "ok",
	[CHECK_FAILED] = "failed",
	[CHECK_UNKNOWN] = "unknown",
	[CHECK_NOT_YET] = "not-yet",
};

const char *check_name(enum check_kind kind)
{
	return kind_names[kind];
}

static void *need(void *p)
{
	if (p)
		return p;
	ctl_error("out of memory");
	exit(CTL_REFUSED);
}

static char *copy_text(const char *text)
{
	return text ? need(strdup(text)) : NULL;
}

char *check_text(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return need(text);
}

void check_add(struct checks *checks, enum check_kind kind, enum check_state state, char *way_out,
	       const char *fmt, ...)
{
	struct check *c;
	va_list ap;

	checks->list = need(reallocarray(checks->list, checks->n + 1, sizeof(*checks->list)));
	c = &checks->list[checks->n++];
	*c = (struct check){ .kind = kind, .state = state, .way_out = way_out };
	c->guest = copy_text(checks->guest);
	c->channel = copy_text(checks->channel);
	va_start(ap, fmt);
	if (vasprintf(&c->detail, fmt, ap) < 0)
		c->detail = NULL;
	va_end(ap);
	need(c->detail);
	if (state == CHECK_FAILED && checks->broken == N_CHECKS)
		checks->broken = kind;
}

bool check_not_yet(struct checks *checks, enum check_kind kind)
{
	if (checks->broken == N_CHECKS)
		return false;
	check_add(checks, kind, CHECK_NOT_YET, NULL, "not yet (%s)", kind_names[checks->broken]);
	return true;
}

const struct check *check_find(const struct checks *checks, enum check_kind kind)
{
	for (size_t i = 0; i < checks->n; i++)
		if (checks->list[i].kind == kind)
			return &checks->list[i];
	return NULL;
}

void checks_free(struct checks *checks)
{
	for (size_t i = 0; i < checks->n; i++) {
		free(checks->list[i].guest);
		free(checks->list[i].channel);
		free(checks->list[i].detail);
		free(checks->list[i].way_out);
	}
	free(checks->list);
	*checks = (struct checks){ .broken = N_CHECKS };
}

bool checks_failed(const struct checks *checks)
{
	for (size_t i = 0; i < checks->n; i++)
		if (checks->list[i].state == CHECK_FAILED)
			return true;
	return false;
}

/* Each line of @text after a beginning of the same width */
static void print_lines(const char *first, const char *text)
{
	int indent = (int)strlen(first);

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		_cleanup_free_ char *raw = need(strndup(line, n)), *safe = text_safe(raw);

		printf("%*s%s\n", indent, line == text ? first : "", safe);
		line += n + (line[n] == '\n');
	}
}

void checks_print(const struct checks *checks)
{
	for (size_t i = 0; i < checks->n; i++) {
		const struct check *c = &checks->list[i];
		_cleanup_free_ char *line =
			check_text("%s%s%s%s%s: %s", c->guest ? c->guest : "",
				   c->channel ? "/" : "", c->channel ? c->channel : "",
				   c->guest ? " " : "", kind_names[c->kind], c->detail);
		_cleanup_free_ char *safe = text_safe(line);

		printf("%-4s  %s\n",
		       c->state == CHECK_OK     ? "ok" :
		       c->state == CHECK_FAILED ? "FAIL" :
						  "--",
		       safe);
		if (c->way_out)
			print_lines("      do: ", c->way_out);
	}
}

static struct json_object *text_object(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

struct json_object *checks_json(const struct checks *checks)
{
	struct json_object *list = json_object_new_array(), *result = json_object_new_object();

	for (size_t i = 0; i < checks->n; i++) {
		const struct check *c = &checks->list[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "check", json_object_new_string(kind_names[c->kind]));
		json_object_object_add(o, "guest", text_object(c->guest));
		json_object_object_add(o, "channel", text_object(c->channel));
		json_object_object_add(o, "state", json_object_new_string(state_names[c->state]));
		json_object_object_add(o, "detail", json_object_new_string(c->detail));
		json_object_object_add(o, "do", text_object(c->way_out));
		json_object_array_add(list, o);
	}
	json_object_object_add(result, "ok", json_object_new_boolean(!checks_failed(checks)));
	json_object_object_add(result, "checks", list);
	return result;
}

struct json_object *findings_guest(const struct findings *f, const char *name)
{
	struct json_object *list;
	size_t n = ctl_list(f->guests, "guests", &list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *guest = json_object_array_get_idx(list, i);

		if (!strcmp(ctl_string(guest, "name"), name))
			return guest;
	}
	return NULL;
}
