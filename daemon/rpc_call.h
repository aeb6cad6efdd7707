/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_call.h - from a line of JSON-RPC to the line that answers it (private to rpc)
 */
#ifndef OKL4FS_RPC_CALL_H
#define OKL4FS_RPC_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "server.h"

struct json_object;

#define RPC_MAX_DEPTH 16
#define RPC_MAX_BATCH 16 /* requests in an array: a reply can be large */

/** enum rpc_error - codes of JSON-RPC 2.0, section 5.1; those from -32099 to -32000 are ours */
enum rpc_error {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_BUSY = -32000, /* too many clients */
	RPC_REFUSED = -32001, /* the daemon cannot do that as things stand */
};

/**
 * struct rpc_request - what a method gets, and where its errors go
 * @server: what to look at
 * @params: an object; NULL: none were given
 * @error: in case of an error: a sentence
 */
struct rpc_request {
	struct server *server;
	struct json_object *params;
	char error[512];
};

/**
 * struct rpc_param - a parameter of a method
 * @name: its name
 * @is_object: it is an object; else a string
 * @required: it must be there
 */
struct rpc_param {
	const char *name;
	bool is_object, required;
};

/**
 * struct rpc_method - one method
 * @name: its name
 * @params: its parameters; the last has no name
 * @call: carry it out; @result is a new object; Return: 0 or an enum rpc_error with a sentence
 */
struct rpc_method {
	const char *name;
	const struct rpc_param *params;
	int (*call)(struct rpc_request *req, struct json_object **result);
};

/** rpc_methods - all methods; the last has no name */
extern const struct rpc_method rpc_methods[];

/** rpc_refuse() - note a sentence that says what is wrong; Return: @code */
__attribute__((format(printf, 3, 4))) int rpc_refuse(struct rpc_request *req, enum rpc_error code,
						     const char *fmt, ...);

/** rpc_string() - a parameter that is a string; NULL: it was not given */
const char *rpc_string(const struct rpc_request *req, const char *name);

/* Methods that tell (rpc_list.c, rpc_metrics.c) */
int rpc_guest_list(struct rpc_request *req, struct json_object **result);
int rpc_channel_list(struct rpc_request *req, struct json_object **result);
int rpc_metrics_get(struct rpc_request *req, struct json_object **result);

/* Methods that change something (rpc_change.c) */
int rpc_guest_add(struct rpc_request *req, struct json_object **result);
int rpc_guest_remove(struct rpc_request *req, struct json_object **result);
int rpc_channel_add(struct rpc_request *req, struct json_object **result);
int rpc_channel_remove(struct rpc_request *req, struct json_object **result);
int rpc_channel_reset(struct rpc_request *req, struct json_object **result);
int rpc_config_reload(struct rpc_request *req, struct json_object **result);

/**
 * rpc_answer() - carry out a line
 * @server: what the methods look at
 * @line: a request or an array of them
 * @bytes: its length
 *
 * Return: the answer, a line with its newline, to be freed; NULL when none is due.
 */
char *rpc_answer(struct server *server, const char *line, size_t bytes);

/** rpc_error_line() - the line that answers what is no request; to be freed; NULL: no memory */
char *rpc_error_line(enum rpc_error code, const char *sentence);

#endif
