// SPDX-License-Identifier: BSD-3-Clause
/*
 * fuzz_config.c - text from outside: a part of a configuration, a line of the control socket
 *
 * The first byte says which. Nothing may crash or hang. A refused text must get a sentence, and the
 * answer to a line must be strict JSON on one line. The caller has no rights, so methods are not
 * called.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/json.h"
#include "control/call.h"
#include "control/methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void part(const char *text, size_t bytes, bool is_guest)
{
	struct channel_config channel;
	struct guest_config guest;
	char told[4096] = "";
	struct conf_errors errors = { .out = fmemopen(told, sizeof(told), "w") };
	struct conf_node *root;
	int r;

	must(errors.out);
	r = conf_parse(&root, text, bytes, &errors);
	if (!r && errors.n)
		r = -EINVAL; /* a duplicate key */
	else if (!r && is_guest)
		r = config_guest_of(&guest, root, errors.out);
	else if (!r)
		r = config_channel_of(&channel, NULL, root, errors.out);
	conf_free(root);
	fclose(errors.out);
	must(!r == !told[0]);
	if (!r && is_guest)
		config_guest_deinit(&guest);
	else if (!r)
		config_channel_deinit(&channel);
}

static bool is_json(const char *text, size_t bytes)
{
	struct conf_errors errors = { .out = stderr };
	struct conf_node *root;
	int r = conf_parse(&root, text, bytes, &errors);

	conf_free(root);
	return !r && !errors.n;
}

static void line(const char *text, size_t bytes)
{
	const struct control_caller nobody = { .methods = control_methods,
					       .right = CONTROL_NOBODY };
	struct evbuffer *out = evbuffer_new();
	enum control_outcome outcome;
	struct control_work work;
	char *copy = malloc(bytes + 1);
	const char *answer;
	size_t length;

	must(out && copy);
	memcpy(copy, text, bytes + 1);
	control_work_begin(&work, copy, bytes);
	do
		outcome = control_work_step(&work, &nobody, out);
	while (outcome == CONTROL_WORK_MORE);
	must(outcome == CONTROL_WORK_DONE);
	control_work_end(&work);
	length = evbuffer_get_length(out);
	answer = (const char *)evbuffer_pullup(out, -1);
	must(!length ||
	     (length > 1 && answer[length - 1] == '\n' && !memchr(answer, '\n', length - 1)));
	must(!length || is_json(answer, length - 1));
	evbuffer_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* In separate memory, with a NUL behind it as a line from the socket has. */
	text = malloc(size);
	must(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	if (data[0] % 3 == 2)
		line(text, size - 1);
	else
		part(text, size - 1, data[0] % 3);
	free(text);
	return 0;
}
