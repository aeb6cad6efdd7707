/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - what the control socket shows and changes, and how it must answer
 *
 * The server and its two guests, vm1 and vm2, are stand-ins: methods show what these say, and changes are
 * only recorded.
 */
#ifndef TESTS_UNIT_CONTROL_RIG_H
#define TESTS_UNIT_CONTROL_RIG_H

#include "control/call.h"

extern char control_path[64]; /* of the control socket, in the server's configuration */
extern struct config control_config; /* the server's configuration */
extern struct server_watch *control_watch; /* what is to be told of reloads */
extern struct control_caller
	control_caller; /* the client in answers(): an admin, unless a test changes that */
extern char control_changed[256]; /* what was changed last */
extern bool control_vm1_gone; /* that guest has gone */
extern int control_outcome; /* the outcome of a change: 0 or a negative errno */

#define CALL(method, more) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\"" more "}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define ERROR(id, code, text)                                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" #code ",\"message\":\"" text \
	"\"}}"
#define VERSION "{\"name\":\"okl4fsd\",\"version\":\"" OKL4FS_VERSION_STRING "\",\"abi_version\":1}"

/** answer_to() - all pieces of the answer to a line, to be freed; NULL: none is due */
char *answer_to(const char *line, size_t bytes);

/** answers() - a line must be answered by exactly this one, or not at all when @want is NULL */
void answers(const char *line, const char *want);

/** gives() - a call, by its method and the members of its params (NULL: none), must have this result */
void gives(const char *method, const char *params, const char *result);

/** refuses() - a call must give this error, with this text as it stands in JSON */
void refuses(const char *method, const char *params, int code, const char *text);

#endif
