// SPDX-License-Identifier: BSD-3-Clause
/*
 * copy.c - parts of a configuration: copied, compared, freed
 */
#include "config/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Where the strings of a struct endpoint_config are */
static const size_t endpoint_strings[] = {
	offsetof(struct endpoint_config, file),     offsetof(struct endpoint_config, path),
	offsetof(struct endpoint_config, address),  offsetof(struct endpoint_config, tls_cert),
	offsetof(struct endpoint_config, tls_key),  offsetof(struct endpoint_config, tls_ca),
	offsetof(struct endpoint_config, tls_name), offsetof(struct endpoint_config, guest),
	offsetof(struct endpoint_config, channel),  offsetof(struct endpoint_config, group),
};
#define N_ENDPOINT_STRINGS (sizeof(endpoint_strings) / sizeof(endpoint_strings[0]))

static char **endpoint_string(const struct endpoint_config *cfg, size_t idx)
{
	return (char **)((char *)cfg + endpoint_strings[idx]);
}

int config_channel_copy(struct channel_config *to, const struct channel_config *from)
{
	bool copied;

	*to = *from;
	copied = copy_string(&to->name, from->name);
	for (size_t i = 0; i < N_ENDPOINT_STRINGS; i++)
		copied &= copy_string(endpoint_string(&to->endpoint, i),
				      *endpoint_string(&from->endpoint, i));
	if (copied)
		return 0;
	config_channel_deinit(to);
	return -ENOMEM;
}

void config_channel_deinit(struct channel_config *channel)
{
	free(channel->name);
	for (size_t i = 0; i < N_ENDPOINT_STRINGS; i++)
		free(*endpoint_string(&channel->endpoint, i));
	memset(channel, 0, sizeof(*channel));
}

bool config_channel_equal(const struct channel_config *a, const struct channel_config *b)
{
	for (size_t i = 0; i < N_ENDPOINT_STRINGS; i++) {
		if (!same_string(*endpoint_string(&a->endpoint, i),
				 *endpoint_string(&b->endpoint, i)))
			return false;
	}
	return same_string(a->name, b->name) && a->ring_bytes == b->ring_bytes &&
	       a->exclusive == b->exclusive && a->sessions == b->sessions &&
	       a->packets == b->packets && a->guest_mode == b->guest_mode &&
	       a->guest_uid == b->guest_uid && a->guest_gid == b->guest_gid &&
	       a->endpoint.type == b->endpoint.type && a->endpoint.rounds == b->endpoint.rounds &&
	       a->endpoint.mode == b->endpoint.mode &&
	       a->endpoint.peer_timeout_s == b->endpoint.peer_timeout_s &&
	       a->endpoint.tls == b->endpoint.tls && a->endpoint.proxy == b->endpoint.proxy;
}

int config_guest_copy(struct guest_config *to, const struct guest_config *from)
{
	*to = *from;
	to->socket = to->socket_group = NULL;
	to->channels = NULL;
	to->n_channels = 0;
	if (copy_string(&to->name, from->name) && copy_string(&to->socket, from->socket) &&
	    copy_string(&to->socket_group, from->socket_group))
		return 0;
	config_guest_deinit(to);
	return -ENOMEM;
}

void config_guest_deinit(struct guest_config *guest)
{
	for (size_t i = 0; i < guest->n_channels; i++)
		config_channel_deinit(&guest->channels[i]);
	free(guest->channels);
	free(guest->name);
	free(guest->socket);
	free(guest->socket_group);
	memset(guest, 0, sizeof(*guest));
}

char *config_port_path(const struct guest_config *guest, const char *channel)
{
	char *path;

	return asprintf(&path, "%s.%s", guest->socket, channel) < 0 ? NULL : path;
}

bool config_guest_equal(const struct guest_config *a, const struct guest_config *b)
{
	return same_string(a->name, b->name) && a->way == b->way &&
	       same_string(a->socket, b->socket) && a->socket_mode == b->socket_mode &&
	       a->socket_perm == b->socket_perm && same_string(a->socket_group, b->socket_group);
}

static void principals_deinit(struct principals *p)
{
	for (size_t i = 0; i < p->n_users; i++)
		free(p->users[i]);
	for (size_t i = 0; i < p->n_groups; i++)
		free(p->groups[i]);
	free(p->users);
	free(p->groups);
}

struct config *config_free(struct config *cfg)
{
	if (!cfg)
		return NULL;
	for (size_t i = 0; i < cfg->n_guests; i++)
		config_guest_deinit(&cfg->guests[i]);
	free(cfg->guests);
	free(cfg->control_path);
	free(cfg->control_group);
	principals_deinit(&cfg->control_readers);
	principals_deinit(&cfg->control_admins);
	free(cfg->metrics_listen);
	free(cfg);
	return NULL;
}
