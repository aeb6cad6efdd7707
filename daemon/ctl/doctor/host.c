// SPDX-License-Identifier: BSD-3-Clause
/*
 * host.c - whether the daemon answers, and whether the caller may ask it
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "config/config.h"
#include "ctl/access.h"
#include "ctl/connection.h"
#include "ctl/doctor/checks.h"
#include "ctl/no_daemon.h"
#include "ctl/result.h"
#include "util/account.h"
#include "util/fd.h"
#include "util/program.h"

#define GROUP "okl4fs" /* of the packages */

/* The socket that okl4fsctl would use */
static char *find_socket(const struct ctl *ctl)
{
	_cleanup_free_ char *user = check_text("%s/control.sock", config_runtime_dir());
	_cleanup_fd_ int fd = -1;

	if (ctl->socket)
		return check_text("%s", ctl->socket);
	fd = fd_connect_unix(user, FD_UNIX_STREAM);
	return check_text("%s/control.sock", fd >= 0 ? config_runtime_dir() : CONFIG_SYSTEM_DIR);
}

/* Runs a program with its output in @said; without it the text stays empty */
static void run_for_text(const char *const argv[], char *said, size_t bytes)
{
	_cleanup_fd_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FILE *out = tmpfile();
	size_t n = 0;

	if (out && program_run((char *const *)argv, fileno(out), null) >= 0) {
		rewind(out);
		n = fread(said, 1, bytes - 1, out);
	}
	said[n] = 0;
	if (out)
		fclose(out);
}

/* The value of "KEY=value" among lines; "" if there is none */
static char *value_of(const char *lines, const char *key)
{
	const char *at = strstr(lines, key);

	at = at ? at + strlen(key) : "";
	return check_text("%.*s", (int)strcspn(at, "\n"), at);
}

/* What systemd says of a service */
struct service {
	const char *loaded, *active, *result;
};

/* @why is what a client saw */
static void add_state(struct findings *f, const char *unit, const char *why,
		      const struct service *s)
{
	if (!strcmp(s->loaded, "not-found"))
		check_add(&f->checks, CHECK_DAEMON, CHECK_FAILED,
			  check_text("install the package okl4fs"),
			  "%s.service is not installed (%s)", unit, why);
	else if (!strcmp(s->active, "failed") || /* or it fails again and again */
		 (!strcmp(s->active, "activating") && strcmp(s->result, "success") != 0))
		check_add(&f->checks, CHECK_DAEMON, CHECK_FAILED,
			  check_text("%sjournalctl -u %s -n 20   (says why)\n"
				     "%ssystemctl restart %s.socket %s.service",
				     f->sudo, unit, f->sudo, unit, unit),
			  "%s.service has failed (%s)", unit, s->result);
	else if (!strcmp(s->active, "active"))
		check_add(&f->checks, CHECK_DAEMON, CHECK_FAILED,
			  check_text("%ssystemctl restart %s.socket %s.service", f->sudo, unit,
				     unit),
			  "%s.service runs, but does not answer (%s)", unit, why);
	else
		check_add(&f->checks, CHECK_DAEMON, CHECK_FAILED,
			  check_text("%ssystemctl start %s.socket %s.service", f->sudo, unit, unit),
			  "%s.service does not run (%s)", unit, why);
}

static void add_service(struct findings *f, const char *unit, const char *why)
{
	_cleanup_free_ char *service = check_text("%s.service", unit);
	const char *const argv[] = {
		"systemctl", "show", "--property=LoadState,ActiveState,Result", "--", service, NULL
	};
	_cleanup_free_ char *loaded = NULL, *active = NULL, *result = NULL;
	char said[512];

	run_for_text(argv, said, sizeof(said));
	loaded = value_of(said, "LoadState=");
	active = value_of(said, "ActiveState=");
	result = value_of(said, "Result=");

	add_state(f, unit, why, &(const struct service){ loaded, active, result });
}

static void add_no_daemon(struct findings *f, const char *path, const char *why)
{
	char unit[320];

	if (!access("/run/systemd/system", F_OK) && daemon_unit(path, unit, sizeof(unit)))
		add_service(f, unit, why);
	else
		check_add(&f->checks, CHECK_DAEMON, CHECK_FAILED,
			  check_text("start okl4fsd --config FILE, or give its control socket with "
				     "-s SOCKET"),
			  "%s", why);
}

/* Of a daemon that root has started by hand; nobody should become a member of that group */
static void add_root_group(struct checks *checks, const struct person *p, const char *path)
{
	check_add(checks, CHECK_GROUP, CHECK_FAILED,
		  check_text("give the daemon's \"control\" a \"group\" of %s, and restart it",
			     p->name),
		  "%s may not connect to %s (%s)", p->name, path, access_text(path).text);
}

static void add_not_in_group(struct findings *f, const struct person *p, gid_t gid)
{
	struct access_text group = access_group(gid);
	struct person known;

	if (person_named(&known, p->name) && person_is_in(&known, gid))
		check_add(&f->checks, CHECK_GROUP, CHECK_FAILED,
			  check_text("log in again, or: newgrp %s", group.text),
			  "%s is in the group %s, but this login is older than that", p->name,
			  group.text);
	else
		check_add(&f->checks, CHECK_GROUP, CHECK_FAILED,
			  check_text("%sadduser %s %s\nlog in again, or: newgrp %s", f->sudo,
				     p->name, group.text, group.text),
			  "%s is not in the group %s, which may use the daemon's sockets", p->name,
			  group.text);
	person_free(&known);
}

/* Root may do everything; the user that called sudo is the one that will work with the channels */
static void add_root(struct checks *checks, gid_t gid)
{
	const char *name = getenv("SUDO_USER");
	struct access_text group = access_group(gid);
	struct person p;

	if (!name || !strcmp(name, "root") || !person_named(&p, name))
		check_add(checks, CHECK_GROUP, CHECK_OK, NULL,
			  "root; other users must be in the group %s", group.text);
	else if (person_is_in(&p, gid))
		check_add(checks, CHECK_GROUP, CHECK_OK, NULL, "%s is in the group %s", name,
			  group.text);
	else
		check_add(checks, CHECK_GROUP, CHECK_UNKNOWN,
			  check_text("adduser %s %s, then log in again", name, group.text),
			  "root; %s is not in the group %s", name, group.text);
	if (name && strcmp(name, "root") != 0)
		person_free(&p);
}

static void check_caller(struct findings *f, const char *path)
{
	struct access_text group;
	struct person p;
	struct stat st;
	gid_t gid;

	if (!stat(path, &st))
		gid = st.st_gid;
	else if (account_gid(GROUP, &gid)) {
		check_add(&f->checks, CHECK_GROUP, CHECK_UNKNOWN, NULL,
			  "this host has no group " GROUP);
		return;
	}
	group = access_group(gid);
	person_caller(&p);
	if (!p.uid)
		add_root(&f->checks, gid);
	else if (person_is_in(&p, gid))
		check_add(&f->checks, CHECK_GROUP, CHECK_OK, NULL, "%s is in the group %s", p.name,
			  group.text);
	else if (!access(path, W_OK))
		check_add(&f->checks, CHECK_GROUP, CHECK_OK, NULL, "%s may use %s", p.name, path);
	else if (!gid)
		add_root_group(&f->checks, &p, path);
	else
		add_not_in_group(f, &p, gid);
	person_free(&p);
}

/* The first line of a connection's error */
static char *first_line(const struct connection *c)
{
	return check_text("%.*s", (int)strcspn(c->error, "\n"), c->error);
}

static bool ask(struct findings *f, struct connection *c, const char *guest,
		struct json_object **status)
{
	return !connection_call(c, "status", NULL, status) &&
	       !connection_call(c, "guest.list", NULL, &f->guests) &&
	       (!guest || findings_guest(f, guest) ? !connection_channels(c, guest, &f->channels) :
						     true);
}

static void add_daemon(struct findings *f, const char *path, struct json_object *status)
{
	struct json_object *problems;
	size_t n = ctl_list(status, "problems", &problems);

	if (*ctl_string(status, "config_path"))
		f->config = check_text("%s", ctl_string(status, "config_path"));
	check_add(&f->checks, CHECK_DAEMON, CHECK_OK, NULL, "okl4fsd %s answers at %s",
		  ctl_string(status, "version"), path);
	if (n)
		check_add(&f->checks, CHECK_DAEMON, CHECK_UNKNOWN, NULL,
			  "%zu parts of its configuration are not served (%s status)", n, f->ctl);
}

bool check_host(struct findings *f, const struct ctl *ctl, const char *guest)
{
	_cleanup_free_ char *path = find_socket(ctl), *why = NULL;
	const struct ctl at = { .socket = path };
	struct json_object *status = NULL;
	struct connection c;
	bool answers;

	check_caller(f, path);
	if (access(path, F_OK)) /* the daemon can be looked for, whoever asks */
		f->checks.broken = N_CHECKS;
	if (check_not_yet(&f->checks, CHECK_DAEMON))
		return false;
	answers = !connection_open(&c, &at) && ask(f, &c, guest, &status);
	if (answers) {
		add_daemon(f, path, status);
	} else {
		why = first_line(&c);
		add_no_daemon(f, path, why);
	}
	json_object_put(status);
	connection_close(&c);
	return answers;
}
