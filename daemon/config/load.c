// SPDX-License-Identifier: BSD-3-Clause
/*
 * load.c - configurations: from a file, built in, and parts of one from a request
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <libfs/abi.h>

#include "config/check.h"
#include "config/json.h"
#include "config/read.h"
#include "util/fd.h"
#include "util/log.h"

/* Where the service manager listens for us; "": it does not */
static char control_socket[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

/* The control socket of this process: relative paths begin in its folder. "": that of the configuration */
static char own_control[sizeof(control_socket)];

/* The folder of the control socket; Return: to be freed, NULL: relative paths stay as they are */
static char *paths_begin(const char *control_path)
{
	const char *at = *own_control    ? own_control :
			 *control_socket ? control_socket :
					   control_path;
	const char *slash = strrchr(at, '/');

	return slash ? strndup(at, (size_t)(slash - at)) : NULL;
}

void config_paths_begin_at(const char *control_path)
{
	snprintf(own_control, sizeof(own_control), "%s", control_path);
}

/* Of a file in the runtime directory; Return: to be freed, NULL: there is no memory */
static char *runtime_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", config_runtime_dir(), name) < 0 ? NULL : path;
}

struct config *config_new(void)
{
	struct config *cfg = calloc(1, sizeof(*cfg));

	if (!cfg)
		return NULL;
	cfg->control_mode = 0660;
	cfg->control_idle_seconds = 300;
	cfg->control_path = runtime_path("control.sock");
	return cfg->control_path ? cfg : config_free(cfg);
}

void config_use_control_socket(const char *path)
{
	snprintf(control_socket, sizeof(control_socket), "%s", path);
}

/* config_use_control_socket(), for a configuration that was loaded */
static int apply_control_socket(struct config *cfg)
{
	char *path;

	if (!*control_socket || !strcmp(cfg->control_path, control_socket))
		return 0;
	path = strdup(control_socket);
	if (!path)
		return -ENOMEM;
	log_notice("control: using %s, where the service manager listens, instead of %s", path,
		   cfg->control_path);
	free(cfg->control_path);
	cfg->control_path = path;
	return 0;
}

static int read_config_file(const char *path, char **text, size_t *bytes,
			    struct conf_errors *errors)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = malloc(CONFIG_MAX_BYTES + 1);
	ssize_t n = fd < 0 || !buf ? -1 : 1;
	size_t at = 0;
	int r = 0;

	while (n > 0 && at <= CONFIG_MAX_BYTES) {
		n = read(fd, buf + at, CONFIG_MAX_BYTES + 1 - at);
		at += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		r = -errno;
	else if (at > CONFIG_MAX_BYTES)
		r = -EFBIG;
	if (r) {
		errors->n++;
		fprintf(errors->out, "%s: %s\n", path,
			r == -EFBIG ? "a configuration has at most 1 MiB" : strerror(-r));
		return r;
	}
	*text = buf;
	*bytes = at;
	buf = NULL;
	return 0;
}

uint64_t config_digest(const char *text, size_t bytes)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	while (bytes--)
		h = (h ^ (unsigned char)*text++) * 0x100000001b3ULL;
	return h ? h : 1;
}

int config_file_digest(const char *path, uint64_t *digest)
{
	FILE *nowhere = fopen("/dev/null", "we");
	struct conf_errors errors = { .out = nowhere, .file = path };
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	int r = nowhere ? read_config_file(path, &text, &bytes, &errors) : -errno;

	if (!r)
		*digest = config_digest(text, bytes);
	if (nowhere)
		fclose(nowhere);
	return r;
}

static int parse_nodes(struct config **out, struct conf_node **out_root, const char *text,
		       size_t bytes, const char *name, FILE *out_errors)
{
	struct conf_errors errors = { .out = out_errors, .file = name };
	struct conf_node *root = NULL;
	struct config *cfg = NULL;
	int r = conf_parse(&root, text, bytes, &errors);

	if (!r) {
		cfg = config_new();
		r = cfg ? config_read(cfg, root, paths_begin, &errors) : -ENOMEM;
	}
	if (!r)
		r = config_check(root, &errors);
	if (!r && errors.n)
		r = -EINVAL;
	if (!r)
		r = apply_control_socket(cfg);
	if (r == -ENOMEM)
		fprintf(out_errors, "%s: out of memory\n", name);
	if (!r)
		cfg->digest = config_digest(text, bytes);
	*out = r ? config_free(cfg) : cfg;
	*out_root = r ? conf_free(root) : root;
	return r;
}

int config_parse(struct config **out, const char *text, size_t bytes, const char *name,
		 FILE *errors)
{
	struct conf_node *root;
	int r = parse_nodes(out, &root, text, bytes, name, errors);

	conf_free(root);
	return r;
}

int config_load_nodes(struct config **out, struct conf_node **root, const char *path,
		      FILE *out_errors)
{
	struct conf_errors errors = { .out = out_errors, .file = path };
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	int r = read_config_file(path, &text, &bytes, &errors);

	*out = NULL;
	*root = NULL;
	return r ? r : parse_nodes(out, root, text, bytes, path, out_errors);
}

int config_load(struct config **out, const char *path, FILE *errors)
{
	struct conf_node *root;
	int r = config_load_nodes(out, &root, path, errors);

	conf_free(root);
	return r;
}

int config_default(struct config **out)
{
	struct config *cfg = config_new();
	struct guest_config *guest;
	struct channel_config *channel;

	*out = NULL;
	if (!cfg)
		return -ENOMEM;
	cfg->guests = guest = calloc(1, sizeof(*guest));
	if (!guest)
		goto no_memory;
	cfg->n_guests = 1;
	guest->name = strdup("default");
	guest->socket = runtime_path("default.sock");
	guest->socket_mode = SOCKET_LISTEN;
	guest->socket_perm = 0660;
	guest->tail_bytes = CONFIG_TAIL_BYTES;
	guest->channels = channel = calloc(1, sizeof(*channel));
	if (!guest->name || !guest->socket || !channel || apply_control_socket(cfg))
		goto no_memory;
	guest->n_channels = 1;
	channel->name = strdup("intervm_test");
	channel->ring_bytes = 1U << 20;
	channel->guest_mode = channel->guest_uid = channel->guest_gid = OKL4FS_NOT_GIVEN;
	channel->endpoint.type = ENDPOINT_UNIX_LISTEN;
	channel->endpoint.path = runtime_path("default.intervm_test.sock");
	channel->endpoint.mode = 0660;
	if (!channel->name || !channel->endpoint.path)
		goto no_memory;
	*out = cfg;
	return 0;

no_memory:
	config_free(cfg);
	return -ENOMEM;
}

int config_channel_of(struct channel_config *channel, const struct guest_config *guest,
		      struct conf_node *node, FILE *out_errors)
{
	struct conf_errors errors = { .out = out_errors };
	_cleanup_free_ char *dir = *own_control ? paths_begin(NULL) : NULL;
	int r;

	memset(channel, 0, sizeof(*channel));
	node->parent = NULL;
	r = config_read_channel(channel, guest, node, dir, &errors);
	if (!r && errors.n)
		r = -EINVAL;
	if (r)
		config_channel_deinit(channel);
	return r;
}

int config_guest_of(struct guest_config *guest, struct conf_node *node, FILE *out_errors)
{
	struct conf_errors errors = { .out = out_errors };
	_cleanup_free_ char *dir = *own_control ? paths_begin(NULL) : NULL;
	int r;

	memset(guest, 0, sizeof(*guest));
	node->parent = NULL;
	r = config_read_guest(guest, node, dir, &errors);
	if (!r)
		r = config_check_guest(node, &errors);
	if (!r && errors.n)
		r = -EINVAL;
	if (r)
		config_guest_deinit(guest);
	return r;
}
