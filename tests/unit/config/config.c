// SPDX-License-Identifier: BSD-3-Clause
/*
 * config.c - configurations that are accepted, and what they say
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <libfs/abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <json-c/json.h>

#include "config/json.h"
#include "rig.h"

Test(config, defaults)
{
	struct config *cfg = accepted(GUEST("{`name`:`c`,`endpoint`:"
					    "{`type`:`unix-listen`,`path`:`/p`}}"));
	const struct guest_config *g = &cfg->guests[0];
	const struct channel_config *c = &g->channels[0];
	char control[300];

	snprintf(control, sizeof(control), "%s/control.sock", config_runtime_dir());
	cr_assert_str_eq(cfg->control_path, control);
	cr_assert_eq(cfg->control_mode, 0660);
	cr_assert_null(cfg->control_group);
	cr_assert_eq(cfg->n_guests, 1);
	cr_assert_eq(g->socket_mode, SOCKET_LISTEN);
	cr_assert_eq(g->socket_perm, 0660);
	cr_assert_null(g->socket_group);
	cr_assert_eq(g->tail_bytes, 64ULL << 20);
	cr_assert_eq(g->n_channels, 1);
	cr_assert_eq(c->ring_bytes, 1U << 20);
	cr_assert_not(c->exclusive);
	cr_assert_eq(c->guest_mode, OKL4FS_NOT_GIVEN);
	cr_assert_eq(c->guest_uid, OKL4FS_NOT_GIVEN);
	cr_assert_eq(c->guest_gid, OKL4FS_NOT_GIVEN);
	cr_assert_eq(c->endpoint.mode, 0660);
	config_free(cfg);
}

Test(config, everything_given)
{
	struct config *cfg = accepted(
		"{ // all keys\n"
		"`control`:{`path`:`/c`,`mode`:`0600`,`group`:`adm`},\n"
		"`guests`:[{`name`:`A-z.0_9`,`socket`:`/s`,`socket_perm`:`0777`,"
		"`socket_group`:`tty`,`socket_mode`:`listen`,`tail_bytes`:0,`channels`:[\n"
		"{`name`:`a \\u00e4`,`ring_bytes`:67108864,`exclusive`:true,"
		"`guest_mode`:`0640`,`guest_uid`:4294967294,`guest_gid`:0,"
		"`endpoint`:{`type`:`intervm`,`file`:`rel//f`,`rounds`:4294967295}},\n"
		"{`name`:`b`,`ring_bytes`:4096,`endpoint`:{`type`:`discard`}}]},"
		"{`name`:`B`,`socket`:`/t`,`socket_mode`:`connect`,`channels`:["
		"{`name`:`b`,`endpoint`:{`type`:`unix-listen`,`path`:`/p`,`mode`:`0666`}}]}]}");
	const struct guest_config *g = cfg->guests;

	cr_assert_str_eq(cfg->control_path, "/c");
	cr_assert_eq(cfg->control_mode, 0600);
	cr_assert_str_eq(cfg->control_group, "adm");
	cr_assert_eq(cfg->n_guests, 2);
	cr_assert_str_eq(g[0].name, "A-z.0_9");
	cr_assert_str_eq(g[0].socket, "/s");
	cr_assert_eq(g[0].socket_perm, 0777);
	cr_assert_str_eq(g[0].socket_group, "tty");
	cr_assert_eq(g[0].tail_bytes, 0);
	cr_assert_eq(g[0].n_channels, 2);
	cr_assert_str_eq(g[0].channels[0].name, "a ä");
	cr_assert_eq(g[0].channels[0].ring_bytes, 64U << 20);
	cr_assert(g[0].channels[0].exclusive);
	cr_assert_eq(g[0].channels[0].guest_mode, 0640);
	cr_assert_eq(g[0].channels[0].guest_uid, 4294967294U);
	cr_assert_eq(g[0].channels[0].guest_gid, 0);
	cr_assert_eq(g[0].channels[0].endpoint.type, ENDPOINT_INTERVM);
	cr_assert_str_eq(g[0].channels[0].endpoint.file, "/rel//f");
	cr_assert_eq(g[0].channels[0].endpoint.rounds, UINT32_MAX);
	cr_assert_eq(g[0].channels[1].endpoint.type, ENDPOINT_DISCARD);
	cr_assert_eq(g[1].socket_mode, SOCKET_CONNECT);
	cr_assert_str_eq(g[1].channels[0].endpoint.path, "/p");
	cr_assert_eq(g[1].channels[0].endpoint.mode, 0666);
	config_free(cfg);
}

Test(config, endpoints_that_speak_to_others)
{
	struct config *cfg = accepted(
		"{`control`:{`idle_seconds`:0,`readers`:{`groups`:[`adm`,`tty`]},`admins`:{`users`:[`daemon`]}},\n"
		"`metrics`:{`listen`:`unix:/m`},\n"
		"`guests`:[{`name`:`g`,`socket`:`/s`,`channels`:[\n"
		"{`name`:`a`,`endpoint`:{`type`:`unix-connect`,`path`:`/p`,`proxy`:`v2`}},\n"
		"{`name`:`b`,`endpoint`:{`type`:`tcp-listen`,`address`:`[::1]:1`}},\n"
		"{`name`:`c`,`endpoint`:{`type`:`tcp-connect`,`address`:`example.org:65535`,\n"
		"  `peer_timeout_s`:3600,`tls`:{`cert`:`/c`,`key`:`/k`,`ca`:`/a`,`name`:`n`}}}]}]}");
	const struct channel_config *c = cfg->guests[0].channels;

	cr_assert_eq(cfg->control_idle_seconds, 0);
	cr_assert_eq(cfg->control_readers.n_groups, 2);
	cr_assert_str_eq(cfg->control_readers.groups[1], "tty");
	cr_assert_eq(cfg->control_admins.n_users, 1);
	cr_assert_str_eq(cfg->control_admins.users[0], "daemon");
	cr_assert_str_eq(cfg->metrics_listen, "unix:/m");
	cr_assert_eq(c[0].endpoint.type, ENDPOINT_UNIX_CONNECT);
	cr_assert_str_eq(c[0].endpoint.path, "/p");
	cr_assert(c[0].endpoint.proxy);
	cr_assert_eq(c[1].endpoint.type, ENDPOINT_TCP_LISTEN);
	cr_assert_str_eq(c[1].endpoint.address, "[::1]:1");
	cr_assert_not(c[1].endpoint.tls);
	cr_assert_eq(c[1].endpoint.peer_timeout_s, 60);
	cr_assert_eq(c[2].endpoint.peer_timeout_s, 3600);
	cr_assert_eq(c[2].endpoint.type, ENDPOINT_TCP_CONNECT);
	cr_assert(c[2].endpoint.tls);
	cr_assert_str_eq(c[2].endpoint.tls_key, "/k");
	cr_assert_str_eq(c[2].endpoint.tls_name, "n");
	config_free(cfg);
}

Test(config, no_guest_is_allowed)
{
	struct config *cfg = accepted("{`guests`:[]}");

	cr_assert_eq(cfg->n_guests, 0);
	config_free(cfg);
}

Test(config, as_many_channels_as_there_can_be)
{
	char *text = malloc(1 << 20), *at = text, wanted[128];
	struct config *cfg;

	at = stpcpy(at, "{`guests`:[{`name`:`g`,`socket`:`/s`,`channels`:[");
	for (int i = 0; i < 1024; i++)
		at += sprintf(at, "%s{`name`:`c%d`,`endpoint`:{`type`:`echo`}}", i ? "," : "", i);
	strcpy(at, "]}]}");
	cfg = accepted(text);
	cr_assert_eq(cfg->guests[0].n_channels, 1024);
	cr_assert_str_eq(cfg->guests[0].channels[1023].name, "c1023");
	config_free(cfg);

	strcpy(at, ",{`name`:`x`,`endpoint`:{`type`:`echo`}}]}]}");
	snprintf(wanted, sizeof(wanted),
		 "1:%zu: guests[0].channels[1024]: a guest has at most 1024 channels, not 1025",
		 (size_t)(at - text) + 2);
	refused(text, strlen(text), wanted);
	free(text);
}

static bool equal(const struct guest_config *a, const struct guest_config *b)
{
	bool same = config_guest_equal(a, b) && a->n_channels == b->n_channels;

	for (size_t i = 0; i < a->n_channels && same; i++)
		same = config_channel_equal(&a->channels[i], &b->channels[i]);
	return same;
}

/* What is written is read as the same; Return: the text, to be freed */
static char *written(const struct config *cfg)
{
	struct json_object *object = config_json(cfg);
	char *text = strdup(json_object_to_json_string(object));
	struct config *again;

	json_object_put(object);
	cr_assert_eq(config_parse(&again, text, strlen(text), "written", stderr), 0, "%s", text);
	cr_assert_eq(again->n_guests, cfg->n_guests);
	for (size_t i = 0; i < cfg->n_guests; i++) {
		cr_assert_eq(again->guests[i].tail_bytes, cfg->guests[i].tail_bytes);
		cr_assert(equal(&again->guests[i], &cfg->guests[i]), "%s", text);
	}
	cr_assert_str_eq(again->control_path, cfg->control_path);
	cr_assert_eq(again->control_mode, cfg->control_mode);
	cr_assert_eq(again->control_idle_seconds, cfg->control_idle_seconds);
	config_free(again);
	return text;
}

Test(config, what_is_by_default_is_not_written)
{
	struct config *cfg = accepted(GUEST("{`name`:`c`,`ring_bytes`:1048576,`endpoint`:"
					    "{`type`:`unix-listen`,`path`:`/p`,`mode`:`0660`}}"));
	char *text = written(cfg);

	cr_assert_str_eq(text,
			 "{ \"guests\": [ { \"name\": \"g\", \"socket\": \"\\/s\", \"channels\": [ "
			 "{ \"name\": \"c\", \"endpoint\": { \"type\": \"unix-listen\", "
			 "\"path\": \"\\/p\" } } ] } ] }");
	free(text);
	config_free(cfg);
}

Test(config, examples_load)
{
	DIR *dir = opendir(OKL4FS_CONF_DIR);
	unsigned int n = 0;
	struct dirent *entry;

	cr_assert_not_null(dir);
	while ((entry = readdir(dir))) {
		const char *end = strrchr(entry->d_name, '.');
		struct config *cfg;
		char path[512];

		if (!end || strcmp(end, ".json") != 0 || strstr(entry->d_name, ".schema.") ||
		    !strncmp(entry->d_name, "grafana-", 8))
			continue;
		snprintf(path, sizeof(path), "%s/%s", OKL4FS_CONF_DIR, entry->d_name);
		cr_assert_eq(config_load(&cfg, path, stderr), 0, "%s", path);
		cr_assert_gt(cfg->n_guests, 0);
		free(written(cfg));
		config_free(cfg);
		n++;
	}
	closedir(dir);
	cr_assert_geq(n, 3);
}

Test(config, built_in)
{
	struct config *cfg, *example;
	const struct guest_config *g;

	unsetenv("XDG_RUNTIME_DIR");
	cr_assert_eq(config_default(&cfg), 0);
	cr_assert_eq(config_load(&example, OKL4FS_CONF_DIR "/okl4fsd.json", stderr), 0);
	/* The example claims to be it. */
	cr_assert_str_eq(cfg->control_path, example->control_path);
	cr_assert_eq(cfg->control_mode, example->control_mode);
	cr_assert_eq(cfg->n_guests, 1);
	g = &cfg->guests[0];
	cr_assert(equal(g, &example->guests[0]));
	cr_assert_str_eq(g->name, "default");
	cr_assert_str_eq(g->channels[0].name, "intervm_test");
	cr_assert_eq(g->channels[0].endpoint.type, ENDPOINT_UNIX_LISTEN);
	config_free(cfg);
	config_free(example);
}

Test(config, runtime_dir)
{
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	cr_assert_str_eq(config_runtime_dir(), geteuid() ? "/run/user/7/okl4fs" : "/run/okl4fs");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	cr_assert_str_eq(config_runtime_dir(), "/run/okl4fs");
	unsetenv("XDG_RUNTIME_DIR");
	cr_assert_str_eq(config_runtime_dir(), "/run/okl4fs");
}

Test(config, runtime_dir_of_a_user)
{
	bool root = !geteuid();

	if (root)
		cr_assert_eq(seteuid(65534), 0);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	cr_assert_str_eq(config_runtime_dir(), "/run/user/7/okl4fs");
	/* The leak sanitizer wants to trace us when we end. */
	if (root)
		cr_assert(!seteuid(0) && !prctl(PR_SET_DUMPABLE, 1));
}

Test(config, equal_is_everything)
{
	static const char *const others[] = {
		IN_GUEST(""),
		IN_GUEST("`socket_mode`:`connect`,"),
		IN_GUEST("`socket_perm`:`0600`,"),
		IN_GUEST("`socket_group`:`tty`,"),
		CHANNEL(",`ring_bytes`:4096"),
		CHANNEL(",`exclusive`:true"),
		CHANNEL(",`guest_mode`:`0000`"),
		CHANNEL(",`guest_uid`:0"),
		CHANNEL(",`guest_gid`:0"),
		GUEST("{`name`:`d`,`endpoint`:{`type`:`echo`}}"),
		GUEST("{`name`:`c`,`endpoint`:{`type`:`echo`}},"
		      "{`name`:`d`,`endpoint`:{`type`:`echo`}}"),
		ENDPOINT("{`type`:`discard`}"),
		ENDPOINT("{`type`:`intervm`,`file`:`/f`}"),
		ENDPOINT("{`type`:`intervm`,`file`:`/g`}"),
		ENDPOINT("{`type`:`intervm`,`file`:`/f`,`rounds`:3}"),
		ENDPOINT("{`type`:`unix-listen`,`path`:`/p`}"),
		ENDPOINT("{`type`:`unix-listen`,`path`:`/q`}"),
		ENDPOINT("{`type`:`unix-listen`,`path`:`/p`,`mode`:`0600`}"),
		ENDPOINT("{`type`:`unix-listen`,`path`:`/p`,`group`:`adm`}"),
		ENDPOINT("{`type`:`tcp-connect`,`address`:`127.0.0.1:9`}"),
		ENDPOINT("{`type`:`tcp-connect`,`address`:`127.0.0.1:9`,`peer_timeout_s`:4}"),
	};
	const size_t n = sizeof(others) / sizeof(others[0]);

	for (size_t i = 0; i < n; i++) {
		struct config *a = accepted(others[i]);

		for (size_t j = 0; j < n; j++) {
			struct config *b = accepted(others[j]);

			cr_assert_eq(equal(a->guests, b->guests), i == j, "%zu, %zu", i, j);
			config_free(b);
		}
		config_free(a);
	}
}

/* What a line of the control socket holds */
static struct conf_node *part(const char *text, FILE *told)
{
	struct conf_errors errors = { .out = told };
	struct conf_node *root;

	conf_parse(&root, text, strlen(text), &errors);
	return root;
}

Test(config, relative_paths_begin_beside_the_control_socket)
{
	struct config *cfg =
		accepted("{`control`:{`path`:`/r/c`},`metrics`:{`listen`:`unix:m`},"
			 "`guests`:[{`name`:`g`,`socket`:`s`,`channels`:["
			 "{`name`:`a`,`endpoint`:{`type`:`intervm`,`file`:`d/f`}},"
			 "{`name`:`b`,`endpoint`:{`type`:`tcp-listen`,`address`:`[::1]:9`,"
			 "`tls`:{`cert`:`t/c`,`key`:`/k`,`ca`:`a`,`name`:`n`}}},"
			 "{`name`:`c`,`endpoint`:{`type`:`unix-connect`,`path`:`u`}}]}]}");
	const struct channel_config *c = cfg->guests[0].channels;
	struct channel_config channel;
	struct conf_node *node;

	cr_assert_str_eq(cfg->metrics_listen, "unix:/r/m");
	cr_assert_str_eq(cfg->guests[0].socket, "/r/s");
	cr_assert_str_eq(c[0].endpoint.file, "/r/d/f");
	cr_assert_str_eq(c[1].endpoint.tls_cert, "/r/t/c");
	cr_assert_str_eq(c[1].endpoint.tls_key, "/k");
	cr_assert_str_eq(c[1].endpoint.tls_ca, "/r/a");
	cr_assert_str_eq(c[1].endpoint.tls_name, "n");
	cr_assert_str_eq(c[2].endpoint.path, "/r/u");
	config_free(cfg);

	/* Added to a daemon that runs */
	config_paths_begin_at("/run/d/control.sock");
	node = part("{\"name\":\"c\",\"endpoint\":{\"type\":\"unix-listen\",\"path\":\"x\"}}",
		    stderr);
	cr_assert_eq(config_channel_of(&channel, NULL, node, stderr), 0);
	cr_assert_str_eq(channel.endpoint.path, "/run/d/x");
	config_channel_deinit(&channel);
	conf_free(node);
}

Test(config, parts)
{
	static const char text[] = "{\"name\":\"c\",\"exclusive\":true,\"endpoint\":{\"type\":"
				   "\"unix-listen\",\"path\":\"/p\"}}";
	struct channel_config channel, copy;
	struct guest_config guest;
	char *told = NULL;
	size_t bytes;
	FILE *errors = open_memstream(&told, &bytes);
	struct conf_node *node = part(text, errors);

	cr_assert_eq(config_channel_of(&channel, NULL, node, errors), 0);
	conf_free(node);
	cr_assert_eq(config_channel_copy(&copy, &channel), 0);
	cr_assert(config_channel_equal(&copy, &channel));
	cr_assert_neq(copy.endpoint.path, channel.endpoint.path);
	config_channel_deinit(&copy);
	config_channel_deinit(&channel);
	cr_assert_null(part("{} // x", errors));
	node = part("[[]]", errors);
	cr_assert_eq(config_channel_of(&channel, NULL, node->first, errors), -EINVAL);
	conf_free(node);
	node = part("{\"params\":{\"guest\":{\"name\":5}}}", errors);
	cr_assert_eq(config_guest_of(&guest, node->first->first, errors), -EINVAL);
	conf_free(node);
	node = part("[1, {\"a\": null}]", errors);
	cr_assert_not_null(node);
	conf_free(node);
	cr_assert_null(part("[01]", errors));
	fclose(errors);
	cr_assert_str_eq(told, "column 4: expected nothing more, not '/'\n"
			       "must be an object, not an array\n"
			       "name: must be a string, not a number\n"
			       "\"socket\" is missing\n"
			       "\"channels\" is missing\n"
			       "column 2: malformed number\n");
	free(told);
}
