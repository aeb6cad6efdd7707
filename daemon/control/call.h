/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.h - from a line of JSON-RPC to the line that answers it (private to control)
 */
#ifndef OKL4FSD_CONTROL_CALL_H
#define OKL4FSD_CONTROL_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "control/field.h"
#include "control/rights.h"
#include "server/server.h"

struct evbuffer;
struct json_object;
struct control_method;
struct control_subscriber;

#define CONTROL_MAX_DEPTH 16
#define CONTROL_MAX_BATCH 16 /* requests in an array: a reply can be large */

/** enum control_error - codes of JSON-RPC 2.0, section 5.1; those from -32099 to -32000 are ours */
enum control_error {
	CONTROL_PARSE_ERROR = -32700,
	CONTROL_INVALID_REQUEST = -32600,
	CONTROL_METHOD_NOT_FOUND = -32601,
	CONTROL_INVALID_PARAMS = -32602,
	CONTROL_INTERNAL_ERROR = -32603,
	CONTROL_BUSY = -32000, /* too many clients, or too many that want events */
	CONTROL_REFUSED = -32001, /* the daemon cannot do that as things stand */
	CONTROL_DENIED = -32002, /* whoever asks has no right to that */
	CONTROL_IDLE =
		-32003, /* nothing was asked for too long, or another client needs the place */
};

/**
 * struct control_caller - the client that asks
 * @server: what the methods show and change
 * @methods: the methods that it can call; the last has no name
 * @right: what the client may do
 * @uid: its user, for the sentence that says what it may not do
 * @subscriber: how it is told of events
 */
struct control_caller {
	struct server *server;
	const struct control_method *methods;
	enum control_right right;
	uid_t uid;
	struct control_subscriber *subscriber;
};

/**
 * struct control_rest - a result that is long, and so is made in pieces, as it is taken
 * @next: append the next piece of its JSON; Return: 1: more follow; 0: that was all; or -errno
 * @free: let it go, finished or not
 */
struct control_rest {
	int (*next)(struct control_rest *rest, struct evbuffer *out);
	void (*free)(struct control_rest *rest);
};

/**
 * struct control_request - what a method gets, and where its errors go
 * @server: what to look at
 * @caller: who asks
 * @params: an object; NULL: none were given
 * @rest: out: the result, instead of one that is whole
 * @error: in case of an error: a sentence
 */
struct control_request {
	struct server *server;
	const struct control_caller *caller;
	struct json_object *params;
	struct control_rest *rest;
	char error[512];
};

/** CONTROL_LATER - what a method returns that cannot be called now: call it again when an answer has gone */
#define CONTROL_LATER 1

/**
 * struct control_method - one method
 * @name: its name
 * @right: which right a client needs to call it
 * @params: its parameters
 * @call: carry it out; @result is a new object, unless the request gets a rest; Return: 0, CONTROL_LATER,
 *	or an enum control_error with a sentence
 */
struct control_method {
	const char *name;
	enum control_right right;
	const struct control_field *params;
	int (*call)(struct control_request *req, struct json_object **result);
};

/** control_refuse() - note a sentence that says what is wrong; Return: @code */
__attribute__((format(printf, 3, 4))) int
control_refuse(struct control_request *req, enum control_error code, const char *fmt, ...);

/** control_string() - a parameter that is a string; NULL: it was not given */
const char *control_string(const struct control_request *req, const char *name);

/* Methods that tell (list.c, channels.c, metrics.c) */
int control_guest_list(struct control_request *req, struct json_object **result);
int control_channel_list(struct control_request *req, struct json_object **result);
int control_metrics_get(struct control_request *req, struct json_object **result);
extern const struct control_field control_channel_list_params[];

/** control_channel_object() - a channel of a guest as `channel.list` tells it; Return: a new object */
struct json_object *control_channel_object(const char *guest, const struct channel_snapshot *snap);

/* Methods that change something (change.c) */
int control_guest_add(struct control_request *req, struct json_object **result);
int control_guest_remove(struct control_request *req, struct json_object **result);
int control_channel_add(struct control_request *req, struct json_object **result);
int control_channel_remove(struct control_request *req, struct json_object **result);
int control_channel_reset(struct control_request *req, struct json_object **result);
int control_config_reload(struct control_request *req, struct json_object **result);

/**
 * struct control_work - a line that is being answered
 * @line: it, a request or an array of them; owned; NULL: there is nothing to do
 * @bytes: its length
 * @batch: it is an array
 * @n: requests in it; 0: it was not read yet
 * @next: which of the requests comes next
 * @n_answers: how many were answered, or are being
 * @rest: what is left of the result that is being told; NULL: none
 *
 * Only the line is kept while its answers wait to be taken, not what was read from it: that can take
 * a hundred times as much memory.
 */
struct control_work {
	char *line;
	bool batch;
	size_t bytes, n, next, n_answers;
	struct control_rest *rest;
};

/** enum control_outcome - what has come of control_work_step() */
enum control_outcome {
	CONTROL_WORK_DONE, /* the line is answered */
	CONTROL_WORK_MORE, /* go on when what was appended has been taken */
	CONTROL_WORK_LATER, /* go on when another client's answer has been taken */
	CONTROL_WORK_FAILED, /* out of memory in the middle of an answer: end the connection */
};

/** control_work_begin() - there is a line to be answered, and nothing else to do; @line is owned from here on */
void control_work_begin(struct control_work *work, char *line, size_t bytes);

/**
 * control_work_step() - carry out one request, or tell one more piece of a result
 * @work: the line
 * @caller: who asks
 * @out: what is to be sent is appended here: all pieces make one line, or none when no answer is due
 *
 * Return: enum control_outcome.
 */
enum control_outcome control_work_step(struct control_work *work,
				       const struct control_caller *caller, struct evbuffer *out);

/** control_work_end() - drop the line, answered or not */
void control_work_end(struct control_work *work);

/**
 * control_parse() - text to value (control_parse.c)
 * @line: the text, with a NUL behind it
 * @bytes: its length
 * @value: out: a new value, which may be NULL for null
 * @sentence: out, when it is not JSON: why
 * @size: bytes of @sentence
 *
 * Return: true when it is JSON.
 */
bool control_parse(const char *line, size_t bytes, struct json_object **value, char *sentence,
		   size_t size);

/** control_line() - JSON as a line with its newline, to be freed; @value is consumed, NULL gives NULL */
char *control_line(struct json_object *value);

/** control_error_line() - the line that answers what is no request; to be freed; NULL: no memory */
char *control_error_line(enum control_error code, const char *sentence);

#endif
