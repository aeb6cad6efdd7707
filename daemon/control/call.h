/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.h - from a line of JSON-RPC to the line that answers it (private to control)
 */
#ifndef OKL4FSD_CONTROL_CALL_H
#define OKL4FSD_CONTROL_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "config/node.h"
#include "control/field.h"
#include "control/rights.h"
#include "server/server.h"

struct evbuffer;
struct json_object;
struct control_method;
struct control_subscriber;

#define CONTROL_MAX_BATCH 16 /* requests in an array: a reply can be large */

/** enum control_error - codes of JSON-RPC 2.0, section 5.1; those from -32099 to -32000 are ours */
enum control_error {
	CONTROL_PARSE_ERROR = -32700,
	CONTROL_INVALID_REQUEST = -32600,
	CONTROL_METHOD_NOT_FOUND = -32601,
	CONTROL_INVALID_PARAMS = -32602,
	CONTROL_INTERNAL_ERROR = -32603,
	CONTROL_BUSY = -32000, /* too many clients, or too many subscribers to events */
	CONTROL_REFUSED = -32001, /* the daemon cannot do that in its present state */
	CONTROL_DENIED = -32002, /* the client has no right to call this method */
	CONTROL_IDLE =
		-32003, /* the client was silent for too long, or another one needs its place */
};

/**
 * struct control_caller - the client that sent a request
 * @server: the server that it asks about
 * @methods: the methods that it can call; the last has no name
 * @right: which methods it may call
 * @uid: its user, for error texts and the log
 * @subscriber: sends events to it
 */
struct control_caller {
	struct server *server;
	const struct control_method *methods;
	enum control_right right;
	uid_t uid;
	struct control_subscriber *subscriber;
};

/**
 * struct control_rest - a long result, which is made in pieces, as fast as the client takes them
 * @next: append the next piece of its JSON; Return: 1: more follow; 0: that was all; or -errno
 * @free: free it, finished or not
 */
struct control_rest {
	int (*next)(struct control_rest *rest, struct evbuffer *out);
	void (*free)(struct control_rest *rest);
};

/**
 * struct control_request - what a method gets, and where its errors go
 * @server: the server
 * @caller: the client
 * @params: an object, checked against the method's fields; NULL: none were given
 * @rest: out: the result, when it is made in pieces
 * @error: out: a sentence, when there was an error
 */
struct control_request {
	struct server *server;
	const struct control_caller *caller;
	struct conf_node *params;
	struct control_rest *rest;
	char error[512];
};

/** CONTROL_LATER - a method returns it to be called again, when another answer has been taken */
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

/** control_refuse() - write the sentence of an error; Return: @code */
__attribute__((format(printf, 3, 4))) int
control_refuse(struct control_request *req, enum control_error code, const char *fmt, ...);

/** control_param() - a parameter, of the type that its field has; NULL: it was not given */
struct conf_node *control_param(const struct control_request *req, const char *name);

/** control_string() - likewise the text of one that is a string */
const char *control_string(const struct control_request *req, const char *name);

/**
 * control_guest() - the guest that the parameter `guest` names
 * @req: request that has this parameter
 *
 * Return: it, or NULL with an error in the request; then the method returns CONTROL_INVALID_PARAMS.
 */
struct guest *control_guest(struct control_request *req);

/* Methods that report (list.c, channels.c, metrics.c) */
int control_guest_list(struct control_request *req, struct json_object **result);
int control_channel_list(struct control_request *req, struct json_object **result);
int control_metrics_get(struct control_request *req, struct json_object **result);
extern const struct control_field control_channel_list_params[];

/** control_channel_object() - a channel of a guest as in `channel.list`; Return: a new object */
struct json_object *control_channel_object(const char *guest, const struct channel_snapshot *snap);

/* Methods that change something (change.c) */
int control_guest_add(struct control_request *req, struct json_object **result);
int control_guest_remove(struct control_request *req, struct json_object **result);
int control_channel_add(struct control_request *req, struct json_object **result);
int control_channel_remove(struct control_request *req, struct json_object **result);
int control_channel_reset(struct control_request *req, struct json_object **result);

/* Methods for the configuration as a whole (config.c) */
int control_config_reload(struct control_request *req, struct json_object **result);
int control_config_get(struct control_request *req, struct json_object **result);
int control_config_saved(struct control_request *req, struct json_object **result);

/** control_add_problems() - members `n_problems` and `problems`, of which there may be fewer */
void control_add_problems(struct json_object *object, struct server *server);

/**
 * struct control_work - a line that is being answered
 * @line: the line, a request or an array of them; owned; NULL: there is nothing to do
 * @bytes: its length
 * @batch: it is an array
 * @n: requests in it; 0: the line was not parsed yet
 * @next: index of the next request
 * @n_answers: how many were answered, or have begun to be
 * @rest: what is left of the result that is being sent; NULL: none
 *
 * While the answers wait to be taken, only the line is kept, not the tree that was parsed from it: a tree
 * can take a hundred times as much memory. So each request of a batch parses the line again.
 */
struct control_work {
	char *line;
	bool batch;
	size_t bytes, n, next, n_answers;
	struct control_rest *rest;
};

/** enum control_outcome - result of control_work_step() */
enum control_outcome {
	CONTROL_WORK_DONE, /* the line is answered */
	CONTROL_WORK_MORE, /* go on when what was appended has been taken */
	CONTROL_WORK_LATER, /* go on when another client's answer has been taken */
	CONTROL_WORK_FAILED, /* out of memory in the middle of an answer: end the connection */
};

/** control_work_begin() - begin to answer a line; @line is owned from here on, and no other work is in progress */
void control_work_begin(struct control_work *work, char *line, size_t bytes);

/**
 * control_work_step() - carry out one request, or make one more piece of a result
 * @work: the line
 * @caller: the client
 * @out: the answer is appended here: all pieces make one line, or none when no answer is due
 *
 * Return: enum control_outcome.
 */
enum control_outcome control_work_step(struct control_work *work,
				       const struct control_caller *caller, struct evbuffer *out);

/** control_work_end() - drop the line, answered or not */
void control_work_end(struct control_work *work);

/** control_line() - JSON as a line with its newline, to be freed; @value is consumed, NULL gives NULL */
char *control_line(struct json_object *value);

/** control_error_line() - an error that answers no request, as a line to be freed; NULL: there is no memory */
char *control_error_line(enum control_error code, const char *sentence);

#endif
