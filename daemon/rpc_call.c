// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc_call.c - from a line of JSON-RPC 2.0 to the line that answers it
 *
 * Decode, act, one exit: check the envelope, find the method in the table, check its parameters
 * against the names it declares, call it, wrap the result. No I/O.
 */
#include "rpc_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "util/bom.h"
#include "util/log.h"

/**
 * error_object() - an error response
 * @id: the request's id, or NULL for null; a reference is taken
 * @code: enum rpc_error
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

char *rpc_line(struct json_object *value)
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

char *rpc_error_line(enum rpc_error code, const char *sentence)
{
	return rpc_line(error_object(NULL, code, sentence));
}

/**
 * find_method() - look a method up
 * @name: its name
 *
 * Return: it or NULL.
 */
static const struct rpc_method *find_method(const char *name)
{
	const struct rpc_method *m;

	for (m = rpc_methods; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

int rpc_refuse(struct rpc_request *req, enum rpc_error code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(req->error, sizeof(req->error), fmt, ap);
	va_end(ap);
	return code;
}

const char *rpc_string(const struct rpc_request *req, const char *name)
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
 * Return: 0 or RPC_INVALID_PARAMS.
 */
static int check_param(const struct rpc_method *m, struct rpc_request *req, const char *key,
		       struct json_object *value)
{
	const struct rpc_field *p = m->params;
	const char *a;

	while (p->name && strcmp(p->name, key) != 0)
		p++;
	if (!p->name)
		return rpc_refuse(req, RPC_INVALID_PARAMS, "%s has no parameter \"%.64s\"", m->name,
				  key);
	a = rpc_field_fits(p, value);
	return a ? rpc_refuse(req, RPC_INVALID_PARAMS, "\"%s\" must be %s", p->name, a) : 0;
}

/**
 * check_params() - every parameter is one that the method has, and none is missing
 * @m: method
 * @req: request; its error is filled
 *
 * Return: 0 or RPC_INVALID_PARAMS.
 */
static int check_params(const struct rpc_method *m, struct rpc_request *req)
{
	const struct rpc_field *p;
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
			return rpc_refuse(req, RPC_INVALID_PARAMS, "%s needs the parameter \"%s\"",
					  m->name, p->name);
	}
	return 0;
}

/**
 * check_right() - whether the caller may call a method
 * @m: method
 * @req: request; its error is filled
 *
 * Return: 0 or RPC_DENIED.
 */
static int check_right(const struct rpc_method *m, struct rpc_request *req)
{
	if (req->caller->right >= m->right)
		return 0;
	if (req->caller->right == RPC_NOBODY)
		return rpc_refuse(
			req, RPC_DENIED,
			"uid %u has no rights here: it is neither in control.readers nor in "
			"control.admins of the configuration",
			req->caller->uid);
	return rpc_refuse(req, RPC_DENIED,
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
 * Return: 0 or an enum rpc_error.
 */
static int carry_out(struct rpc_request *req, const char *name, struct json_object **result)
{
	const struct rpc_method *m = find_method(name);
	int code;

	if (!m)
		return rpc_refuse(req, RPC_METHOD_NOT_FOUND, "there is no method \"%.64s\"", name);
	code = check_right(m, req);
	if (!code)
		code = check_params(m, req);
	if (!code && m->right == RPC_ADMIN)
		log_info("control: uid %u calls %s", req->caller->uid, m->name);
	return code ? code : m->call(req, result);
}

/**
 * call() - carry out one request
 * @caller: who asks
 * @value: the request
 *
 * Return: the response, or NULL for a notification.
 */
static struct json_object *call(const struct rpc_caller *caller, struct json_object *value)
{
	struct rpc_request req = { .server = caller->server, .caller = caller };
	struct json_object *id, *result = NULL, *response;
	bool is_notification;
	const char *why;
	int code;

	why = check_envelope(value, &id, &is_notification, &req.params);
	if (why) /* not known to be a notification: JSON-RPC 2.0, section 5 */
		return error_object(id, RPC_INVALID_REQUEST, why);

	code = carry_out(&req, json_object_get_string(json_object_object_get(value, "method")),
			 &result);
	if (is_notification) {
		json_object_put(result);
		return NULL;
	}
	if (code)
		return error_object(id, code, req.error);
	response = json_object_new_object();
	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", json_object_get(id));
	json_object_object_add(response, "result", result);
	return response;
}

/**
 * call_batch() - carry out an array of requests
 * @caller: who asks
 * @batch: the array
 *
 * Return: the array of responses; an error when it is no batch; or NULL when all are notifications.
 */
static struct json_object *call_batch(const struct rpc_caller *caller, struct json_object *batch)
{
	size_t n = json_object_array_length(batch);
	struct json_object *responses;

	if (!n)
		return error_object(NULL, RPC_INVALID_REQUEST, "an empty batch");
	if (n > RPC_MAX_BATCH)
		return error_object(NULL, RPC_INVALID_REQUEST, "a batch has at most 16 requests");

	responses = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		struct json_object *r = call(caller, json_object_array_get_idx(batch, i));

		if (r)
			json_object_array_add(responses, r);
	}
	if (json_object_array_length(responses))
		return responses;
	json_object_put(responses);
	return NULL;
}
_Static_assert(RPC_MAX_BATCH == 16, "the sentence above says so");

/**
 * is_strict() - whether what json-c took is JSON by the letter
 * @line: the text
 * @bytes: its length
 * @sentence: out, when it is not: why
 * @size: bytes of @sentence
 *
 * json-c takes single quotes, keys that are there twice, and some numbers that are none.
 *
 * Return: true when it is.
 */
static bool is_strict(const char *line, size_t bytes, char *sentence, size_t size)
{
	FILE *errors = fmemopen(sentence, size, "w");
	bool strict;

	if (!errors)
		return false;
	strict = config_is_json(line, bytes, errors);
	fclose(errors);
	sentence[strcspn(sentence, "\n")] = 0;
	return strict;
}

/**
 * parse() - text to value
 * @line: the text
 * @bytes: its length
 * @value: out: a new value, which may be NULL for null
 * @sentence: out, when it is no JSON: why
 * @size: bytes of @sentence
 *
 * Return: true when it is JSON.
 */
static bool parse(const char *line, size_t bytes, struct json_object **value, char *sentence,
		  size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(RPC_MAX_DEPTH);
	const char *bom = bom_refusal(line, bytes);
	enum json_tokener_error e;
	size_t at;

	if (!tokener || bom || memchr(line, 0, bytes)) {
		snprintf(sentence, size, "%s",
			 !tokener ? "out of memory" :
			 bom      ? bom :
				    "the line holds a NUL");
		if (tokener)
			json_tokener_free(tokener);
		return false;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*value = json_tokener_parse_ex(tokener, line, (int)bytes);
	e = json_tokener_get_error(tokener);
	at = json_tokener_get_parse_end(tokener);
	if (e == json_tokener_continue) { /* a number alone, or the line ends too early */
		*value = json_tokener_parse_ex(tokener, "", 1);
		e = json_tokener_get_error(tokener);
		at = bytes;
	}
	snprintf(sentence, size, "byte %zu: %s", at + 1, json_tokener_error_desc(e));
	json_tokener_free(tokener);
	if (e != json_tokener_success)
		return false;
	if (is_strict(line, bytes, sentence, size))
		return true;
	json_object_put(*value);
	return false;
}

char *rpc_answer(const struct rpc_caller *caller, const char *line, size_t bytes)
{
	struct json_object *value, *response;
	char sentence[160];

	if (!parse(line, bytes, &value, sentence, sizeof(sentence)))
		return rpc_error_line(RPC_PARSE_ERROR, sentence);
	if (json_object_is_type(value, json_type_array))
		response = call_batch(caller, value);
	else
		response = call(caller, value);
	json_object_put(value);
	return rpc_line(response);
}
