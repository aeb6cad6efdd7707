// SPDX-License-Identifier: BSD-3-Clause
/*
 * running.c - the running configuration, as the text of a configuration file
 *
 * Guests and channels come and go while the daemon runs, so the text is made from what is there now.
 * A client of the control socket writes it to the file, since the daemon may not. The daemon knows
 * by digests whether the file is still the one that it has read: a file that someone has changed
 * in the meantime must not be overwritten.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "server/members.h"
#include "server/server.h"
#include "util/fd.h"

static int add_channels(struct json_object *object, struct guest *guest)
{
	struct json_object *list = json_object_new_array();
	_cleanup_free_ struct channel_snapshot *snap = NULL;
	int n = guest_channel_snapshots(guest, 0, OKL4FS_MAX_CHANNELS, &snap);

	for (int i = 0; i < n; i++)
		json_object_array_add(list, config_channel_json(snap[i].cfg));
	json_object_object_add(object, "channels", list);
	return n < 0 ? n : 0;
}

/* Return: 0 or -ENOMEM */
static int write_text(struct server *s, char **text, size_t *bytes)
{
	struct json_object *root = config_json(s->cfg), *guests = json_object_new_array();
	const char *json;
	int r = 0;

	for (size_t i = 0; i < s->n_members && !r; i++) {
		struct json_object *object = config_guest_json(guest_config(s->member[i].guest));

		r = add_channels(object, s->member[i].guest);
		json_object_array_add(guests, object);
	}
	json_object_object_add(root, "guests", guests);
	json = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!r) {
		int n = json ? asprintf(text, "%s\n", json) : -1;

		*bytes = n < 0 ? 0 : (size_t)n;
		r = n < 0 ? -ENOMEM : 0;
	}
	json_object_put(root);
	return r;
}

int server_running_text(struct server *s, char **text, size_t *bytes, FILE *errors)
{
	struct config *cfg;
	int r;

	*text = NULL;
	r = write_text(s, text, bytes);
	if (r)
		return r;
	if (*bytes > CONFIG_MAX_BYTES) {
		fprintf(errors,
			"a configuration has at most 1 MiB, and this one would have %zu bytes\n",
			*bytes);
		r = -EINVAL;
	} else {
		r = config_parse(&cfg, *text, *bytes, "running configuration", errors);
	}
	if (!r)
		config_free(cfg);
	return r;
}

const char *server_config_path(const struct server *s)
{
	return s->config_path;
}

bool server_file_has_changed(const struct server *s)
{
	uint64_t digest;

	return s->config_path && (config_file_digest(s->config_path, &digest) ||
				  (digest != s->cfg->digest && digest != s->saved_digest));
}

int server_saved(struct server *s, FILE *errors)
{
	_cleanup_free_ char *text = NULL;
	uint64_t digest;
	size_t bytes;
	int r = s->config_path ? server_running_text(s, &text, &bytes, errors) : -ENOENT;

	if (!r)
		r = config_file_digest(s->config_path, &digest);
	if (r == -ENOENT && !s->config_path)
		fprintf(errors, "there is no configuration file\n");
	else if (r && r != -EINVAL)
		fprintf(errors, "%s: %s\n", s->config_path, strerror(-r));
	if (!r && digest != config_digest(text, bytes)) {
		fprintf(errors, "%s does not hold the running configuration\n", s->config_path);
		r = -EINVAL;
	}
	if (!r)
		s->saved_digest = digest;
	return r;
}
