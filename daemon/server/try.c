// SPDX-License-Identifier: BSD-3-Clause
#include "server/try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/try_running.h"
#include "server/try_service.h"
#include "server/try_value.h"
#include "util/account.h"
#include "util/fd.h"
#include "vhost/library.h"

/* Where the built-in configuration has no node */
static struct conf_node nowhere = { .kind = CONF_OBJECT };

/* The value, or the object where it is missing because its default counts */
static struct conf_node *node_of(struct conf_node *object, const char *key)
{
	struct conf_node *node = object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;

	return node ? node : object;
}

static struct conf_node *first_of(struct conf_node *object, const char *key)
{
	struct conf_node *list = node_of(object, key);

	return list->kind == CONF_ARRAY ? list->first : NULL;
}

static void try_endpoint(struct trial *t, struct conf_node *node, const struct endpoint_config *cfg)
{
	switch (cfg->type) {
	case ENDPOINT_INTERVM:
		try_round_file(t, node_of(node, "file"), cfg->file);
		break;
	case ENDPOINT_UNIX_LISTEN:
	case ENDPOINT_MUX_LISTEN:
		try_listen(t, node_of(node, "path"), cfg->path, node_of(node, "group"), cfg->group);
		break;
	case ENDPOINT_UNIX_CONNECT:
		try_connect(t, node_of(node, "path"), cfg->path);
		break;
	case ENDPOINT_TCP_LISTEN:
		try_tcp_listen(t, node_of(node, "address"), cfg->address);
		break;
	case ENDPOINT_TCP_CONNECT:
		try_tcp_connect(t, node_of(node, "address"), cfg->address);
		break;
	case ENDPOINT_CHANNEL:
	case ENDPOINT_ECHO:
	case ENDPOINT_DISCARD:
	case N_ENDPOINT_TYPES:
		break;
	}
	if (cfg->tls)
		try_tls(t, node_of(node, "tls"), cfg, cfg->type == ENDPOINT_TCP_LISTEN);
}

static void try_guest_socket(struct trial *t, struct conf_node *node,
			     const struct guest_config *cfg, const char *path)
{
	if (cfg->socket_mode == SOCKET_LISTEN)
		try_listen(t, node_of(node, "socket"), path, node_of(node, "socket_group"),
			   cfg->socket_group);
	else
		try_connect(t, node_of(node, "socket"), path);
}

static void try_ports(struct trial *t, struct conf_node *node, const struct guest_config *cfg)
{
	for (size_t i = 0; i < cfg->n_channels; i++) {
		_cleanup_free_ char *path = config_port_path(cfg, cfg->channels[i].name);

		if (path)
			try_guest_socket(t, node, cfg, path);
	}
}

static void try_guest(struct trial *t, struct conf_node *node, const struct guest_config *cfg)
{
	struct conf_node *channel = first_of(node, "channels");

	if (cfg->way == WAY_SERIAL)
		try_ports(t, node, cfg);
	else
		try_guest_socket(t, node, cfg, cfg->socket);
	for (size_t i = 0; i < cfg->n_channels; i++) {
		try_endpoint(t, channel ? node_of(channel, "endpoint") : &nowhere,
			     &cfg->channels[i].endpoint);
		channel = channel ? channel->next : NULL;
	}
}

static void try_metrics(struct trial *t, struct conf_node *root, const struct config *cfg)
{
	struct conf_node *node = node_of(node_of(root, "metrics"), "listen");
	struct conf_node *control = node_of(root, "control");

	if (!cfg->metrics_listen)
		return;
	if (strncmp(cfg->metrics_listen, "unix:", 5) != 0)
		try_tcp_listen(t, node, cfg->metrics_listen);
	else
		try_listen(t, node, cfg->metrics_listen + 5, node_of(control, "group"),
			   cfg->control_group);
}

/* @is_service: its socket unit makes the control socket */
static void try_all(struct trial *t, struct conf_node *root, const struct config *cfg,
		    bool is_service)
{
	struct conf_node *control = node_of(root, "control"), *guest = first_of(root, "guests");

	const char *slash = strrchr(cfg->control_path, '/');

	if (slash && (size_t)(slash - cfg->control_path) > vhost_library_max_folder())
		conf_error(
			&t->errors, node_of(control, "path"),
			"its folder has %td bytes; at most %zu leave room for a socket of DPDK's "
			"beside the control socket",
			slash - cfg->control_path, vhost_library_max_folder());
	t->running = try_lock_holder(cfg->control_path);
	if (!is_service)
		try_listen(t, node_of(control, "path"), cfg->control_path,
			   node_of(control, "group"), cfg->control_group);
	try_metrics(t, root, cfg);
	for (size_t i = 0; i < cfg->n_guests; i++) {
		try_guest(t, guest ? guest : &nowhere, &cfg->guests[i]);
		guest = guest ? guest->next : NULL;
	}
}

/* Return: 0 or -1, with a line on standard error */
static int become_user(const char *user)
{
	int r = geteuid() ? 0 : account_become(user ? user : TRY_USER);

	if (!r || (r == -ESRCH && !user))
		return 0;
	fprintf(stderr, "okl4fsd: --check as user %s: %s\n", user ? user : TRY_USER,
		r == -ESRCH ? "there is no such user" : strerror(-r));
	return -1;
}

/* Return: the number of errors, which go to standard error */
static unsigned int load(const char *path, struct config **cfg, struct conf_node **root)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	FILE *errors = open_memstream(&text, &bytes);
	unsigned int n = 0;
	int r = -ENOMEM;

	*root = NULL;
	if (errors) {
		r = path ? config_load_nodes(cfg, root, path, errors) : config_default(cfg);
		fclose(errors);
		fputs(text, stderr);
	}
	for (const char *at = text; r && at && (at = strchr(at, '\n')); at++)
		n++;
	return r && !n ? 1 : n;
}

static void tell_numbers(const char *path, const struct trial *t, size_t n_guests,
			 const struct try_service *service)
{
	printf("%s: %zu guest%s, ", path ? path : "default", n_guests, n_guests == 1 ? "" : "s");
	if (t->errors.n)
		printf("%u error%s", t->errors.n, t->errors.n == 1 ? "" : "s");
	else
		printf("no errors");
	printf(", %u not tried; as user %s", t->untried.n, account_name());
	if (try_is_in_sandbox(service))
		printf(" in the sandbox of %s", service->unit);
	puts("");
}

/* Without root's rights, nobody can tell what the service's user may do */
static bool cannot_tell(struct trial *t, const char *path, const struct try_service *service,
			const char *why)
{
	uid_t uid;

	if (!*service->unit || try_is_in_sandbox(service))
		return false;
	t->untried.n++;
	if (!account_uid(TRY_USER, &uid) && uid != geteuid()) {
		printf("%s: not tried: what user %s can use; run this as root\n", path, TRY_USER);
		return true;
	}
	printf("%s: not tried: what the sandbox of %s lets through: %s\n", path, service->unit,
	       why ? why : "run this as root");
	return false;
}

int server_try(const char *path, const char *user, bool only_file)
{
	struct trial t = { .errors = { .out = stderr, .file = path },
			   .untried = { .out = stdout, .file = path } };
	struct try_service service = { "", "" };
	const char *why = NULL;
	struct conf_node *root;
	struct config *cfg;
	unsigned int n;
	int r;

	if (!only_file && !user)
		service = try_service_of(path);
	if (*service.unit && !geteuid()) {
		r = try_in_sandbox(&service, path, &why);
		if (r >= 0)
			return r;
	}
	if (*service.unit) {
		config_use_control_socket(service.control);
		snprintf(t.manager_makes, sizeof(t.manager_makes), "%.*s",
			 (int)(strrchr(service.control, '/') - service.control), service.control);
	}
	n = load(path, &cfg, &root);
	if (n) {
		printf("%s: %u error%s; nothing else was tried\n", path ? path : "default", n,
		       n == 1 ? "" : "s");
		return (int)n;
	}
	r = only_file ? 0 : become_user(user);
	if (only_file)
		printf("%s: %zu guest%s, no errors in the file; nothing else was tried\n",
		       path ? path : "default", cfg->n_guests, cfg->n_guests == 1 ? "" : "s");
	else if (!r) {
		if (!cannot_tell(&t, path, &service, why))
			try_all(&t, root ? root : &nowhere, cfg, *service.unit);
		tell_numbers(path, &t, cfg->n_guests, &service);
	}
	conf_free(root);
	config_free(cfg);
	return r ? r : (int)t.errors.n;
}
