// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - from a line of JSON-RPC 2.0 to the line that answers it
 *
 * Parse the line, check the envelope, find the method in the table, check the parameters against its
 * fields, call it, wrap the result. No I/O.
 *
 * One step is one request, or one piece of a long result, so that clients take turns and an answer
 * grows only as fast as its client takes it.
 */
#include "control/call.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "config/json.h"
#include "util/bom.h"
#include "util/log_limit.h"

static struct log_limit calls_limit; /* of the lines that say which user changes something */

/* A request's id, as it was written; NULL, which is null, for none */
static struct json_object *id_object(const struct conf_node *id)
{
	if (id && id->kind == CONF_STRING)
		return json_object_new_string_len(id->text, (int)id->text_bytes);
	return id && id->kind == CONF_NUMBER ? json_object_new_double_s(0, id->text) : NULL;
}

/* Sentences quote names up to some byte, maybe in the middle of a character; JSON is whole UTF-8 */
static struct json_object *sentence_object(const char *sentence)
{
	char whole[sizeof(((struct control_request *)0)->error) + 4];
	size_t at = 0, n, have;

	for (; *sentence && at + 4 < sizeof(whole); sentence += have) {
		const unsigned char *c = (const unsigned char *)sentence;

		n = c[0] < 0x80 ? 1 : c[0] < 0xc0 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
		for (have = 1; have < n && (c[have] & 0xc0) == 0x80;)
			have++;
		if (have == n)
			memcpy(whole + at, sentence, n);
		at += have == n ? n : 0;
	}
	return json_object_new_string_len(whole, (int)at);
}

static struct json_object *error_object(const struct conf_node *id, int code, const char *sentence)
{
	struct json_object *response = json_object_new_object();
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "code", json_object_new_int(code));
	json_object_object_add(error, "message", sentence_object(sentence));
	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", id_object(id));
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

struct conf_node *control_param(const struct control_request *req, const char *name)
{
	return req->params ? conf_member(req->params, name) : NULL;
}

const char *control_string(const struct control_request *req, const char *name)
{
	const struct conf_node *value = control_param(req, name);

	return value ? value->text : NULL;
}

struct guest *control_guest(struct control_request *req)
{
	const char *name = control_string(req, "guest");
	struct guest *guest = server_find(req->server, name);

	if (!guest)
		control_refuse(req, CONTROL_INVALID_PARAMS, "there is no guest \"%.64s\"", name);
	return guest;
}

/* Whether a parameter is one that the method has, and of its kind; Return: 0 or CONTROL_INVALID_PARAMS */
static int check_param(const struct control_method *m, struct control_request *req,
		       const struct conf_node *value)
{
	const struct control_field *p = m->params;
	const char *a;

	while (p->name && strcmp(p->name, value->key) != 0)
		p++;
	if (!p->name)
		return control_refuse(req, CONTROL_INVALID_PARAMS, "%s has no parameter \"%.64s\"",
				      m->name, value->key);
	a = control_field_fits(p, value);
	return a ? control_refuse(req, CONTROL_INVALID_PARAMS, "\"%s\" must be %s", p->name, a) : 0;
}

static int check_params(const struct control_method *m, struct control_request *req)
{
	const struct conf_node *value = req->params ? req->params->first : NULL;
	const struct control_field *p;
	int r;

	for (; value; value = value->next) {
		r = check_param(m, req, value);
		if (r)
			return r;
	}
	for (p = m->params; p->name; p++) {
		if (!p->optional && !control_param(req, p->name))
			return control_refuse(req, CONTROL_INVALID_PARAMS,
					      "%s needs the parameter \"%s\"", m->name, p->name);
	}
	return 0;
}

static int check_right(const struct control_method *m, struct control_request *req)
{
	if (req->caller->right >= m->right)
		return 0;
	if (req->caller->right == CONTROL_NOBODY)
		return control_refuse(
			req, CONTROL_DENIED,
			"uid %u has no rights: it is neither in control.readers nor in "
			"control.admins of the configuration",
			req->caller->uid);
	return control_refuse(req, CONTROL_DENIED,
			      "uid %u may not call %s: it is not in control.admins of the "
			      "configuration",
			      req->caller->uid, m->name);
}

/* @id, @params: out: NULL for none; Return: NULL, or a sentence that says why @value is not a request */
static const char *check_envelope(struct conf_node *value, const struct conf_node **id,
				  bool *is_notification, struct conf_node **params)
{
	struct conf_node *member;

	*id = NULL;
	*params = NULL;
	*is_notification = false;
	if (value->kind != CONF_OBJECT)
		return "a request must be an object";
	member = conf_member(value, "id");
	*is_notification = !member;
	if (member && member->kind != CONF_STRING && member->kind != CONF_NUMBER &&
	    member->kind != CONF_NULL)
		return "\"id\" must be a string, a number or null";
	*id = member;
	member = conf_member(value, "jsonrpc");
	if (!member || member->kind != CONF_STRING || strcmp(member->text, "2.0") != 0)
		return "\"jsonrpc\" must be \"2.0\"";
	member = conf_member(value, "method");
	if (!member || member->kind != CONF_STRING)
		return "\"method\" must be a string";
	member = conf_member(value, "params");
	if (!member || (member->kind == CONF_ARRAY && !member->first))
		return NULL; /* an empty array is as good as none */
	*params = member;
	if (member->kind != CONF_OBJECT)
		return "\"params\" must be an object: parameters go by name";
	return NULL;
}

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
static bool add_head(struct control_work *w, const struct conf_node *id, struct evbuffer *out)
{
	struct json_object *copy = id_object(id);
	bool ok = open_answer(w, out) &&
		  evbuffer_add_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":") > 0 &&
		  add_json(out, copy) && evbuffer_add_printf(out, ",\"result\":") > 0;

	json_object_put(copy);
	return ok;
}

static struct json_object *result_object(const struct conf_node *id, struct json_object *result)
{
	struct json_object *response = json_object_new_object();

	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", id_object(id));
	json_object_object_add(response, "result", result);
	return response;
}

/* Appends the answer, or the beginning of it */
static enum control_outcome answer_request(struct control_work *w,
					   const struct control_caller *caller,
					   struct conf_node *value, struct evbuffer *out)
{
	struct control_request req = { .server = caller->server, .caller = caller };
	struct json_object *result = NULL;
	const struct conf_node *id;
	bool is_notification, ok = true;
	const char *why;
	int code;

	why = check_envelope(value, &id, &is_notification, &req.params);
	if (why) { /* not known to be a notification: JSON-RPC 2.0, section 5 */
		ok = add_answer(w, error_object(id, CONTROL_INVALID_REQUEST, why), out);
		return ok ? CONTROL_WORK_DONE : CONTROL_WORK_FAILED;
	}
	code = carry_out(&req, conf_member(value, "method")->text, &result);
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

static enum control_outcome add_rest(struct control_work *w, struct evbuffer *out)
{
	int r = w->rest->next(w->rest, out);

	if (r > 0)
		return CONTROL_WORK_MORE;
	w->rest->free(w->rest);
	w->rest = NULL;
	return r || evbuffer_add(out, "}", 1) ? CONTROL_WORK_FAILED : CONTROL_WORK_DONE;
}

/* A batch or one request; Return: NULL, or why none of it can be answered */
static const char *take_shape(struct control_work *w, const struct conf_node *value)
{
	size_t n = 0;

	w->n = 1;
	if (value->kind != CONF_ARRAY)
		return NULL;
	for (value = value->first; value; value = value->next)
		n++;
	if (!n)
		return "an empty batch";
	if (n > CONTROL_MAX_BATCH)
		return "a batch has at most 16 requests";
	w->n = n;
	w->batch = true;
	return NULL;
}
_Static_assert(CONTROL_MAX_BATCH == 16, "the sentence above says so");

/* Return: the line as a tree; NULL when it is not JSON, and @sentence says why */
static struct conf_node *parse_line(const struct control_work *w, char *sentence, size_t size)
{
	const char *why = bom_refusal(w->line, w->bytes);
	struct conf_errors errors = { .out = NULL };
	struct conf_node *root = NULL;

	if (!why && memchr(w->line, 0, w->bytes))
		why = "the line holds a NUL";
	memset(sentence, 0, size);
	if (!why) {
		errors.out = fmemopen(sentence, size - 1, "w");
		if (!errors.out || conf_parse(&root, w->line, w->bytes, &errors) == -ENOMEM)
			why = "out of memory";
		if (errors.out)
			fclose(errors.out);
	}
	if (errors.n) /* a key that is there twice does not end the parse */
		root = conf_free(root);
	if (why)
		snprintf(sentence, size, "%s", why);
	sentence[strcspn(sentence, "\n")] = 0;
	return root;
}

static enum control_outcome next_request(struct control_work *w,
					 const struct control_caller *caller, struct evbuffer *out)
{
	struct conf_node *root, *request;
	enum control_outcome outcome;
	char sentence[256];
	const char *why = NULL;

	root = parse_line(w, sentence, sizeof(sentence));
	if (!root) {
		w->n = 1;
		return add_answer(w, error_object(NULL, CONTROL_PARSE_ERROR, sentence), out) ?
			       CONTROL_WORK_DONE :
			       CONTROL_WORK_FAILED;
	}
	if (!w->n)
		why = take_shape(w, root);
	request = w->batch ? root->first : root;
	while (w->batch && request->idx < w->next)
		request = request->next;
	if (!why)
		outcome = answer_request(w, caller, request, out);
	else if (add_answer(w, error_object(NULL, CONTROL_INVALID_REQUEST, why), out))
		outcome = CONTROL_WORK_DONE;
	else
		outcome = CONTROL_WORK_FAILED;
	conf_free(root);
	return outcome;
}

void control_work_begin(struct control_work *w, char *line, size_t bytes)
{
	*w = (struct control_work){ .line = line, .bytes = bytes };
}

enum control_outcome control_work_step(struct control_work *w, const struct control_caller *caller,
				       struct evbuffer *out)
{
	enum control_outcome outcome = w->rest ? add_rest(w, out) : next_request(w, caller, out);

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
