// SPDX-License-Identifier: BSD-3-Clause
/*
 * write.c - from configuration structures to JSON
 *
 * What is as by default is left out, so that a file says what was decided. Keys come in the order of
 * okl4fsd.json(5).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <libfs/abi.h>

#include "config/config.h"
#include "config/read.h"
#include "util/fd.h"

static void add_text(struct json_object *object, const char *key, const char *text)
{
	if (text)
		json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, uint64_t number,
		       uint64_t by_default)
{
	if (number != by_default)
		json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_mode(struct json_object *object, const char *key, unsigned int mode,
		     unsigned int by_default)
{
	char text[16];

	snprintf(text, sizeof(text), "%04o", mode);
	if (mode != by_default)
		add_text(object, key, text);
}

static void add_names(struct json_object *object, const char *key, char *const *names, size_t n)
{
	struct json_object *list;

	if (!n)
		return;
	list = json_object_new_array();
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_string(names[i]));
	json_object_object_add(object, key, list);
}

static void add_principals(struct json_object *object, const char *key, const struct principals *p)
{
	struct json_object *own;

	if (!p->given)
		return;
	own = json_object_new_object();
	add_names(own, "users", p->users, p->n_users);
	add_names(own, "groups", p->groups, p->n_groups);
	json_object_object_add(object, key, own);
}

static void add_tls(struct json_object *object, const struct endpoint_config *cfg)
{
	struct json_object *tls;

	if (!cfg->tls)
		return;
	tls = json_object_new_object();
	add_text(tls, "cert", cfg->tls_cert);
	add_text(tls, "key", cfg->tls_key);
	add_text(tls, "ca", cfg->tls_ca);
	add_text(tls, "name", cfg->tls_name);
	json_object_object_add(object, "tls", tls);
}

/* The members that a type does not have are NULL, or as by default */
static struct json_object *endpoint_json(const struct endpoint_config *cfg)
{
	struct json_object *object = json_object_new_object();
	struct endpoint_config by_default = { 0 };

	config_endpoint_defaults(&by_default, cfg->type);
	add_text(object, "type", endpoint_type_name(cfg->type));
	add_text(object, "file", cfg->file);
	add_number(object, "rounds", cfg->rounds, by_default.rounds);
	add_text(object, "path", cfg->path);
	add_mode(object, "mode", cfg->mode, by_default.mode);
	add_text(object, "group", cfg->group);
	add_text(object, "address", cfg->address);
	add_number(object, "peer_timeout_s", cfg->peer_timeout_s, by_default.peer_timeout_s);
	add_tls(object, cfg);
	add_text(object, "proxy", cfg->proxy ? "v2" : NULL);
	add_text(object, "guest", cfg->guest);
	add_text(object, "channel", cfg->channel);
	return object;
}

struct json_object *config_channel_json(const struct channel_config *cfg)
{
	struct json_object *object = json_object_new_object();
	struct channel_config by_default = { 0 };

	config_channel_defaults(&by_default);
	if (cfg->sessions)
		by_default.ring_bytes = CONFIG_SESSION_RING_BYTES;
	add_text(object, "name", cfg->name);
	add_number(object, "ring_bytes", cfg->ring_bytes, by_default.ring_bytes);
	if (cfg->exclusive)
		json_object_object_add(object, "exclusive", json_object_new_boolean(true));
	add_number(object, "sessions", cfg->sessions, 0);
	if (cfg->packets)
		json_object_object_add(object, "packets", json_object_new_boolean(true));
	add_mode(object, "guest_mode", cfg->guest_mode, by_default.guest_mode);
	add_number(object, "guest_uid", cfg->guest_uid, by_default.guest_uid);
	add_number(object, "guest_gid", cfg->guest_gid, by_default.guest_gid);
	json_object_object_add(object, "endpoint", endpoint_json(&cfg->endpoint));
	return object;
}

struct json_object *config_guest_json(const struct guest_config *cfg)
{
	struct json_object *object = json_object_new_object();
	struct json_object *channels = json_object_new_array();
	struct guest_config by_default = { 0 };

	config_guest_defaults(&by_default);
	add_text(object, "name", cfg->name);
	if (cfg->way != by_default.way)
		add_text(object, "way", guest_way_name(cfg->way));
	add_text(object, "socket", cfg->socket);
	if (cfg->socket_mode == SOCKET_CONNECT)
		add_text(object, "socket_mode", "connect");
	add_mode(object, "socket_perm", cfg->socket_perm, by_default.socket_perm);
	add_text(object, "socket_group", cfg->socket_group);
	add_number(object, "tail_bytes", cfg->tail_bytes, by_default.tail_bytes);
	for (size_t i = 0; i < cfg->n_channels; i++)
		json_object_array_add(channels, config_channel_json(&cfg->channels[i]));
	json_object_object_add(object, "channels", channels);
	return object;
}

struct json_object *config_json(const struct config *cfg)
{
	struct json_object *object = json_object_new_object(), *part = json_object_new_object();
	struct json_object *guests = json_object_new_array();
	struct config *by_default = config_new();

	if (!by_default || strcmp(cfg->control_path, by_default->control_path) != 0)
		add_text(part, "path", cfg->control_path);
	if (by_default) {
		add_mode(part, "mode", cfg->control_mode, by_default->control_mode);
		add_text(part, "group", cfg->control_group);
		add_number(part, "idle_seconds", cfg->control_idle_seconds,
			   by_default->control_idle_seconds);
	}
	add_principals(part, "readers", &cfg->control_readers);
	add_principals(part, "admins", &cfg->control_admins);
	if (json_object_object_length(part))
		json_object_object_add(object, "control", part);
	else
		json_object_put(part);
	config_free(by_default);
	if (cfg->metrics_listen) {
		part = json_object_new_object();
		add_text(part, "listen", cfg->metrics_listen);
		json_object_object_add(object, "metrics", part);
	}
	for (size_t i = 0; i < cfg->n_guests; i++)
		json_object_array_add(guests, config_guest_json(&cfg->guests[i]));
	json_object_object_add(object, "guests", guests);
	return object;
}
