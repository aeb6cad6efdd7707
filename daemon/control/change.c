// SPDX-License-Identifier: BSD-3-Clause
/*
 * change.c - methods that change guests and channels
 *
 * A guest or a channel is described as in the configuration file and read by the same code. What is
 * changed here lasts until the next reload, or until the daemon ends, unless okl4fsctl writes what
 * `config.get` gives to the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/json.h"
#include "control/lines.h"
#include "util/fd.h"
#include "util/log_limit.h"

static struct log_limit changes_limit; /* of the lines that say what was changed */

int control_guest_add(struct control_request *req, struct json_object **result)
{
	struct guest_config cfg;
	struct control_lines errors;
	char why[SERVER_WHY_BYTES];
	int r;

	if (!control_lines_begin(&errors))
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	r = config_guest_of(&cfg, control_param(req, "guest"), errors.out);
	r = control_lines_end(&errors, req, r ? CONTROL_INVALID_PARAMS : 0);
	if (r)
		return r;
	r = server_guest_add(req->server, &cfg, why);
	if (r == -EEXIST)
		control_refuse(req, CONTROL_INVALID_PARAMS, "there is a guest \"%s\" already",
			       cfg.name);
	else if (r == -EXDEV)
		control_refuse(req, CONTROL_REFUSED, "%s", why);
	else if (r)
		control_refuse(req, CONTROL_REFUSED, "guest %s: cannot be served: %s", cfg.name,
			       *why ? why : strerror(-r));
	else
		*result = json_object_new_object();
	config_guest_deinit(&cfg);
	return !r ? 0 : r == -EEXIST ? CONTROL_INVALID_PARAMS : CONTROL_REFUSED;
}

int control_guest_remove(struct control_request *req, struct json_object **result)
{
	if (!control_guest(req))
		return CONTROL_INVALID_PARAMS;
	server_guest_remove(req->server, control_string(req, "guest"));
	*result = json_object_new_object();
	return 0;
}

static int offer_channel(struct control_request *req, struct guest *guest,
			 const struct channel_config *cfg, struct json_object **result)
{
	const char *name = guest_config(guest)->name;
	char why[SERVER_WHY_BYTES];
	uint32_t id;
	int r = server_channel_add(req->server, guest, cfg, &id, why);

	if (r == -EEXIST)
		return control_refuse(req, CONTROL_INVALID_PARAMS,
				      "guest %s has a channel \"%s\" already", name, cfg->name);
	if (r == -ENOSPC)
		return control_refuse(req, CONTROL_REFUSED, "guest %s has %d channels already",
				      name, OKL4FS_MAX_CHANNELS);
	if (r == -EXDEV)
		return control_refuse(req, CONTROL_REFUSED, "%s", why);
	if (r)
		return control_refuse(req, CONTROL_REFUSED,
				      "guest %s: channel %s: cannot be offered: %s", name,
				      cfg->name, *why ? why : strerror(-r));
	log_limited(&changes_limit, LOG_LEVEL_NOTICE, LOG_CHANNEL(name, cfg->name), "added");
	*result = json_object_new_object();
	control_add_number(*result, "id", id);
	return 0;
}

int control_channel_add(struct control_request *req, struct json_object **result)
{
	struct guest *guest = control_guest(req);
	struct channel_config cfg;
	struct control_lines errors;
	int r;

	if (!guest)
		return CONTROL_INVALID_PARAMS;
	if (!control_lines_begin(&errors))
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	r = config_channel_of(&cfg, guest_config(guest), control_param(req, "channel"), errors.out);
	r = control_lines_end(&errors, req, r ? CONTROL_INVALID_PARAMS : 0);
	if (r)
		return r;
	r = offer_channel(req, guest, &cfg, result);
	config_channel_deinit(&cfg);
	return r;
}

/* @change: Return: 0 or -ENOENT; @done: what was done, for the log */
static int alter_channel(struct control_request *req, struct json_object **result,
			 int (*change)(struct guest *guest, const char *name), const char *done)
{
	struct guest *guest = control_guest(req);
	const char *name = control_string(req, "channel");

	if (!guest)
		return CONTROL_INVALID_PARAMS;
	if (change(guest, name))
		return control_refuse(req, CONTROL_INVALID_PARAMS,
				      "guest %s has no channel \"%.64s\"",
				      guest_config(guest)->name, name);
	log_limited(&changes_limit, LOG_LEVEL_NOTICE, LOG_CHANNEL(guest_config(guest)->name, name),
		    "%s", done);
	*result = json_object_new_object();
	return 0;
}

int control_channel_remove(struct control_request *req, struct json_object **result)
{
	return alter_channel(req, result, guest_channel_remove, "removed");
}

int control_channel_reset(struct control_request *req, struct json_object **result)
{
	return alter_channel(req, result, guest_channel_reset, "reset");
}
