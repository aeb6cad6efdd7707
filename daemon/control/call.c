// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - from a line of JSON-RPC 2.0 to the line that answers it
 *
 * Decode, act, one exit: check the envelope, find the method in the table, check its parameters
 * against the names it declares, call it, wrap the result. No I/O.
 *
 * One step is one request, or one piece of a long result, so that clients can take turns and an
 * answer grows only as fast as it is taken.
 */
#include "control/call.h"

#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "util/log_limit.h"

static struct log_limit calls_limit; /* of the lines that tell who changes something */

/**
 * error_object() - an error response
 * @id: the request's id, or NULL for null; a reference is taken
 * @code: enum control_error
 * @sentence: what is wrong
 *
 * Return: a new object.
 */
static struct json_object *error_object(struct json_object *id, int code, const char *sentence)
{
	struct json_object *response = json_object_new_object();
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "code", json_object_new_int(code));
	json_object_object_add(error, "message", json_object_new_string(sentence));
	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", json_object_get(id));
	json_object_object_add(response, "error", error);
	return response;
}

char *control_line(struct json_object *value)
{
	char *line = NULL;
	size_t bytes;
	const char *text;

	if (!value)
		return NULL;
	text = json_object_to_json_string_length(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	if (text)
		line = malloc(bytes + 2);
	if (line) {
		memcpy(line, text, bytes);
		memcpy(line + bytes, "\n", 2);
	}
	json_object_put(value);
	return line;
}

char *control_error_line(enum control_error code, const char *sentence)
{
	return control_line(error_object(NULL, code, sentence));
}

/**
 * find_method() - look a method up
 * @m: the table of methods
 * @name: its name
 *
 * Return: it or NULL.
 */
static const struct control_method *find_method(const struct control_method *m, const char *name)
{
	for (; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

int control_refuse(struct control_request *req, enum control_error code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(req->error, sizeof(req->error), fmt, ap);
	va_end(ap);
	return code;
}

const char *control_string(const struct control_request *req, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(req->params, name, &value))
		return NULL;
	return json_object_get_string(value);
}

/**
 * check_param() - whether a parameter is one that the method has, and of its kind
 * @m: method
 * @req: request; its error is filled
 * @key: name of the parameter
 * @value: its value
 *
 * Return: 0 or CONTROL_INVALID_PARAMS.
 */
static int check_param(const struct control_method *m, struct control_request *req, const char *key,
		       struct json_object *value)
{
	const struct control_field *p = m->params;
	const char *a;

	while (p->name && strcmp(p->name, key) != 0)
		p++;
	if (!p->name)
		return control_refuse(req, CONTROL_INVALID_PARAMS, "%s has no parameter \"%.64s\"",
				      m->name, key);
	a = control_field_fits(p, value);
	return a ? control_refuse(req, CONTROL_INVALID_PARAMS, "\"%s\" must be %s", p->name, a) : 0;
}

/**
 * check_params() - every parameter is one that the method has, and none is missing
 * @m: method
 * @req: request; its error is filled
 *
 * Return: 0 or CONTROL_INVALID_PARAMS.
 */
static int check_params(const struct control_method *m, struct control_request *req)
{
	const struct control_field *p;
	int r;

	if (req->params) {
		json_object_object_foreach(req->params, key, value) {
			r = check_param(m, req, key, value);
			if (r)
				return r;
		}
	}
	for (p = m->params; p->name; p++) {
		if (!p->optional && !json_object_object_get_ex(req->params, p->name, NULL))
			return control_refuse(req, CONTROL_INVALID_PARAMS,
					      "%s needs the parameter \"%s\"", m->name, p->name);
	}
	return 0;
}

/**
 * check_right() - whether the caller may call a method
 * @m: method
 * @req: request; its error is filled
 *
 * Return: 0 or CONTROL_DENIED.
 */
static int check_right(const struct control_method *m, struct control_request *req)
{
	if (req->caller->right >= m->right)
		return 0;
	if (req->caller->right == CONTROL_NOBODY)
		return control_refuse(
			req, CONTROL_DENIED,
			"uid %u has no rights here: it is neither in control.readers nor in "
			"control.admins of the configuration",
			req->caller->uid);
	return control_refuse(req, CONTROL_DENIED,
			      "%s changes something, and uid %u may only look: it is not in "
			      "control.admins of the configuration",
			      m->name, req->caller->uid);
}

/**
 * check_envelope() - whether a value is a request
 * @value: the value
 * @id: out: its id, where there is one; borrowed
 * @is_notification: out: it has none
 * @params: out: its parameters, an object; NULL for none; borrowed
 *
 * Return: NULL, or a sentence that says why it is no request.
 */
static const char *check_envelope(struct json_object *value, struct json_object **id,
				  bool *is_notification, struct json_object **params)
{
	struct json_object *member;

	*id = *params = NULL;
	*is_notification = false;
	if (!json_object_is_type(value, json_type_object))
		return "a request is an object";
	*is_notification = !json_object_object_get_ex(value, "id", id);
	if (*id && !json_object_is_type(*id, json_type_string) &&
	    !json_object_is_type(*id, json_type_int) &&
	    !json_object_is_type(*id, json_type_double)) {
		*id = NULL;
		return "\"id\" must be a string, a number or null";
	}
	if (!json_object_object_get_ex(value, "jsonrpc", &member) ||
	    !json_object_is_type(member, json_type_string) ||
	    strcmp(json_object_get_string(member), "2.0") != 0)
		return "\"jsonrpc\" must be \"2.0\"";
	if (!json_object_object_get_ex(value, "method", &member) ||
	    !json_object_is_type(member, json_type_string))
		return "\"method\" must be a string";
	if (!json_object_object_get_ex(value, "params", &member))
		return NULL;
	if (json_object_is_type(member, json_type_array) && !json_object_array_length(member))
		return NULL; /* as good as none */
	*params = member;
	if (!json_object_is_type(member, json_type_object))
		return "\"params\" must be an object: parameters go by name";
	return NULL;
}

/**
 * carry_out() - find the method of a request, and call it
 * @req: request; its error is filled
 * @name: the method's name
 * @result: out
 *
 * Return: 0 or an enum control_error.
 */
static int carry_out(struct control_request *req, const char *name, struct json_object **result)
{
	const struct control_method *m = find_method(req->caller->methods, name);
	int code;

	if (!m)
		return control_refuse(req, CONTROL_METHOD_NOT_FOUND, "there is no method \"%.64s\"",
				      name);
	code = check_right(m, req);
	if (!code)
		code = check_params(m, req);
	if (!code && m->right == CONTROL_ADMIN)
		log_limited(&calls_limit, LOG_LEVEL_INFO, NULL, "control: uid %u calls %s",
			    req->caller->uid, m->name);
	return code ? code : m->call(req, result);
}

static bool add_json(struct evbuffer *out, struct json_object *value)
{
	size_t bytes;
	const char *text = json_object_to_json_string_length(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);

	return text && !evbuffer_add(out, text, bytes);
}

/* In a batch the answers stand in an array */
static bool open_answer(struct control_work *w, struct evbuffer *out)
{
	const char *before = !w->batch ? "" : w->n_answers ? "," : "[";

	w->n_answers++;
	return !evbuffer_add(out, before, strlen(before));
}

/* @response is consumed */
static bool add_answer(struct control_work *w, struct json_object *response, struct evbuffer *out)
{
	bool ok = open_answer(w, out) && add_json(out, response);

	json_object_put(response);
	return ok;
}

/* The members of a response up to the result, which follows in pieces */
static bool add_head(struct control_work *w, struct json_object *id, struct evbuffer *out)
{
	return open_answer(w, out) &&
	       evbuffer_add_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":") > 0 && add_json(out, id) &&
	       evbuffer_add_printf(out, ",\"result\":") > 0;
}

static struct json_object *result_object(struct json_object *id, struct json_object *result)
{
	struct json_object *response = json_object_new_object();

	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", json_object_get(id));
	json_object_object_add(response, "result", result);
	return response;
}

/* Carries out one request, and appends its answer or the beginning of it */
static enum control_outcome call(struct control_work *w, const struct control_caller *caller,
				 struct json_object *value, struct evbuffer *out)
{
	struct control_request req = { .server = caller->server, .caller = caller };
	struct json_object *id, *result = NULL;
	bool is_notification, ok = true;
	const char *why;
	int code;

	why = check_envelope(value, &id, &is_notification, &req.params);
	if (why) { /* not known to be a notification: JSON-RPC 2.0, section 5 */
		ok = add_answer(w, error_object(id, CONTROL_INVALID_REQUEST, why), out);
		return ok ? CONTROL_WORK_DONE : CONTROL_WORK_FAILED;
	}
	code = carry_out(&req, json_object_get_string(json_object_object_get(value, "method")),
			 &result);
	if (code == CONTROL_LATER)
		return CONTROL_WORK_LATER;
	if (is_notification) {
		json_object_put(result);
		if (req.rest)
			req.rest->free(req.rest);
	} else if (code) {
		ok = add_answer(w, error_object(id, code, req.error), out);
	} else if (req.rest) {
		w->rest = req.rest;
		return add_head(w, id, out) ? CONTROL_WORK_MORE : CONTROL_WORK_FAILED;
	} else {
		ok = add_answer(w, result_object(id, result), out);
	}
	return ok ? CONTROL_WORK_DONE : CONTROL_WORK_FAILED;
}

static enum control_outcome tell_rest(struct control_work *w, struct evbuffer *out)
{
	int r = w->rest->next(w->rest, out);

	if (r > 0)
		return CONTROL_WORK_MORE;
	w->rest->free(w->rest);
	w->rest = NULL;
	return r || evbuffer_add(out, "}", 1) ? CONTROL_WORK_FAILED : CONTROL_WORK_DONE;
}

/* Notes of a line what it is; Return: NULL, or why it cannot be answered at all */
static const char *take_shape(struct control_work *w, struct json_object *value)
{
	w->n = 1;
	if (!json_object_is_type(value, json_type_array))
		return NULL;
	if (!json_object_array_length(value))
		return "an empty batch";
	if (json_object_array_length(value) > CONTROL_MAX_BATCH)
		return "a batch has at most 16 requests";
	w->n = json_object_array_length(value);
	w->batch = true;
	return NULL;
}
_Static_assert(CONTROL_MAX_BATCH == 16, "the sentence above says so");

static enum control_outcome next_request(struct control_work *w,
					 const struct control_caller *caller, struct evbuffer *out)
{
	struct json_object *value = NULL, *request;
	enum control_outcome outcome;
	char sentence[160];
	const char *why = NULL;

	if (!control_parse(w->line, w->bytes, &value, sentence, sizeof(sentence))) {
		w->n = 1;
		return add_answer(w, error_object(NULL, CONTROL_PARSE_ERROR, sentence), out) ?
			       CONTROL_WORK_DONE :
			       CONTROL_WORK_FAILED;
	}
	if (!w->n)
		why = take_shape(w, value);
	request = w->batch ? json_object_array_get_idx(value, w->next) : value;
	if (!why)
		outcome = call(w, caller, request, out);
	else if (add_answer(w, error_object(NULL, CONTROL_INVALID_REQUEST, why), out))
		outcome = CONTROL_WORK_DONE;
	else
		outcome = CONTROL_WORK_FAILED;
	json_object_put(value);
	return outcome;
}

void control_work_begin(struct control_work *w, char *line, size_t bytes)
{
	*w = (struct control_work){ .line = line, .bytes = bytes };
}

enum control_outcome control_work_step(struct control_work *w, const struct control_caller *caller,
				       struct evbuffer *out)
{
	enum control_outcome outcome = w->rest ? tell_rest(w, out) : next_request(w, caller, out);

	if (outcome != CONTROL_WORK_DONE)
		return outcome;
	if (++w->next < w->n)
		return CONTROL_WORK_MORE;
	if (w->n_answers && evbuffer_add_printf(out, w->batch ? "]\n" : "\n") < 0)
		return CONTROL_WORK_FAILED;
	return CONTROL_WORK_DONE;
}

void control_work_end(struct control_work *w)
{
	if (w->rest)
		w->rest->free(w->rest);
	free(w->line);
	*w = (struct control_work){ .line = NULL };
}
