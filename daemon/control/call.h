/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.h - from a line of JSON-RPC to the line that answers it (private to rpc)
 */
#ifndef OKL4FS_RPC_CALL_H
#define OKL4FS_RPC_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "control/field.h"
#include "control/rights.h"
#include "server/server.h"

struct evbuffer;
struct json_object;
struct rpc_subscriber;

#define RPC_MAX_DEPTH 16
#define RPC_MAX_BATCH 16 /* requests in an array: a reply can be large */

/** enum rpc_error - codes of JSON-RPC 2.0, section 5.1; those from -32099 to -32000 are ours */
enum rpc_error {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_BUSY = -32000, /* too many clients, or too many that want events */
	RPC_REFUSED = -32001, /* the daemon cannot do that as things stand */
	RPC_DENIED = -32002, /* whoever asks has no right to that */
	RPC_IDLE = -32003, /* nothing was asked for too long, or another client needs the place */
};

/**
 * struct rpc_caller - who asks
 * @server: what he is told of
 * @right: what he may
 * @uid: his user, for the sentence that says what he may not
 * @subscriber: what makes events known to him
 */
struct rpc_caller {
	struct server *server;
	enum rpc_right right;
	uid_t uid;
	struct rpc_subscriber *subscriber;
};

/**
 * struct rpc_rest - a result that is long, and so is made in pieces, as it is taken
 * @next: append the next piece of its JSON; Return: 1: more follow; 0: that was all; or -errno
 * @free: let it go, finished or not
 */
struct rpc_rest {
	int (*next)(struct rpc_rest *rest, struct evbuffer *out);
	void (*free)(struct rpc_rest *rest);
};

/**
 * struct rpc_request - what a method gets, and where its errors go
 * @server: what to look at
 * @caller: who asks
 * @params: an object; NULL: none were given
 * @rest: out: the result, instead of one that is whole
 * @error: in case of an error: a sentence
 */
struct rpc_request {
	struct server *server;
	const struct rpc_caller *caller;
	struct json_object *params;
	struct rpc_rest *rest;
	char error[512];
};

/** RPC_LATER - what a method returns that cannot be called now: call it again when an answer has gone */
#define RPC_LATER 1

/**
 * struct rpc_method - one method
 * @name: its name
 * @text: what it does
 * @right: who may call it
 * @params: its parameters
 * @result: members of what it gives, an object; NULL: that describes itself
 * @call: carry it out; @result is a new object, unless the request gets a rest; Return: 0, RPC_LATER,
 *	or an enum rpc_error with a sentence
 * @error: one that only some methods give: RPC_REFUSED, RPC_BUSY; 0: none
 */
struct rpc_method {
	const char *name, *text;
	enum rpc_right right;
	const struct rpc_field *params, *result;
	int (*call)(struct rpc_request *req, struct json_object **result);
	enum rpc_error error;
};

/** rpc_methods - all methods; the last has no name */
extern const struct rpc_method rpc_methods[];

/** rpc_refuse() - note a sentence that says what is wrong; Return: @code */
__attribute__((format(printf, 3, 4))) int rpc_refuse(struct rpc_request *req, enum rpc_error code,
						     const char *fmt, ...);

/** rpc_string() - a parameter that is a string; NULL: it was not given */
const char *rpc_string(const struct rpc_request *req, const char *name);

/* Methods that tell (rpc_list.c, rpc_channels.c, rpc_metrics.c) */
int rpc_guest_list(struct rpc_request *req, struct json_object **result);
int rpc_channel_list(struct rpc_request *req, struct json_object **result);
int rpc_metrics_get(struct rpc_request *req, struct json_object **result);
extern const struct rpc_field rpc_guest_list_result[], rpc_channel_list_params[],
	rpc_channel_list_result[], rpc_metrics_get_result[];

/** rpc_channel_object() - a channel of a guest as `channel.list` tells it; Return: a new object */
struct json_object *rpc_channel_object(const char *guest, const struct channel_snapshot *snap);

/* Methods that change something (rpc_change.c) */
int rpc_guest_add(struct rpc_request *req, struct json_object **result);
int rpc_guest_remove(struct rpc_request *req, struct json_object **result);
int rpc_channel_add(struct rpc_request *req, struct json_object **result);
int rpc_channel_remove(struct rpc_request *req, struct json_object **result);
int rpc_channel_reset(struct rpc_request *req, struct json_object **result);
int rpc_config_reload(struct rpc_request *req, struct json_object **result);

/* What all of this is (rpc_discover.c) */
int rpc_discover(struct rpc_request *req, struct json_object **result);

/**
 * struct rpc_work - a line that is being answered
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
struct rpc_work {
	char *line;
	bool batch;
	size_t bytes, n, next, n_answers;
	struct rpc_rest *rest;
};

/** enum rpc_outcome - what has come of rpc_work_step() */
enum rpc_outcome {
	RPC_WORK_DONE, /* the line is answered */
	RPC_WORK_MORE, /* go on when what was appended has been taken */
	RPC_WORK_LATER, /* go on when another client's answer has been taken */
	RPC_WORK_FAILED, /* out of memory in the middle of an answer: end the connection */
};

/** rpc_work_begin() - there is a line to be answered, and nothing else to do; @line is owned from here on */
void rpc_work_begin(struct rpc_work *work, char *line, size_t bytes);

/**
 * rpc_work_step() - carry out one request, or tell one more piece of a result
 * @work: the line
 * @caller: who asks
 * @out: what is to be sent is appended here: all pieces make one line, or none when no answer is due
 *
 * Return: enum rpc_outcome.
 */
enum rpc_outcome rpc_work_step(struct rpc_work *work, const struct rpc_caller *caller,
			       struct evbuffer *out);

/** rpc_work_end() - drop the line, answered or not */
void rpc_work_end(struct rpc_work *work);

/**
 * rpc_parse() - text to value (rpc_parse.c)
 * @line: the text, with a NUL behind it
 * @bytes: its length
 * @value: out: a new value, which may be NULL for null
 * @sentence: out, when it is not JSON: why
 * @size: bytes of @sentence
 *
 * Return: true when it is JSON.
 */
bool rpc_parse(const char *line, size_t bytes, struct json_object **value, char *sentence,
	       size_t size);

/** rpc_line() - JSON as a line with its newline, to be freed; @value is consumed, NULL gives NULL */
char *rpc_line(struct json_object *value);

/** rpc_error_line() - the line that answers what is no request; to be freed; NULL: no memory */
char *rpc_error_line(enum rpc_error code, const char *sentence);

#endif
