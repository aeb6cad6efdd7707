// SPDX-License-Identifier: BSD-3-Clause
/*
 * channel.c - the two ends of a channel
 */
#include "ctl/doctor/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/access.h"
#include "ctl/result.h"
#include "util/fd.h"

/* A channel that was never opened is not a fault */
static void check_opened(struct findings *f, struct json_object *channel)
{
	struct json_object *failure = ctl_object(channel, "failure");
	unsigned long long attaches = ctl_number(channel, "attaches");
	const char *state = ctl_string(channel, "state");

	if (check_not_yet(&f->checks, CHECK_OPENED))
		return;
	if (!strcmp(state, "unavailable"))
		check_add(&f->checks, CHECK_OPENED, CHECK_NOT_YET, NULL,
			  "not yet (the guest is not offered it)");
	else if (failure)
		check_add(&f->checks, CHECK_OPENED, CHECK_FAILED,
			  check_text("close it in the guest, and open it again"), "failed: %s",
			  ctl_string(failure, "text"));
	else if (*ctl_string(channel, "port_away"))
		check_add(&f->checks, CHECK_OPENED, CHECK_FAILED, NULL, "QEMU does not listen: %s",
			  ctl_string(channel, "port_away"));
	else if (*ctl_string(channel, "port"))
		check_add(
			&f->checks, CHECK_OPENED,
			strcmp(state, "attached") != 0 ? CHECK_NOT_YET : CHECK_OK, NULL,
			strcmp(state, "attached") != 0 ?
				"QEMU is not connected to its port, %s" :
				"its port %s is connected; whether a program has opened it is not "
				"known",
			ctl_string(channel, "port"));
	else if (!strcmp(state, "attached"))
		check_add(&f->checks, CHECK_OPENED, CHECK_OK, NULL, "in use in the guest");
	else if (!strcmp(state, "suspended"))
		check_add(&f->checks, CHECK_OPENED, CHECK_UNKNOWN, NULL,
			  "the guest's memory is away for now");
	else if (attaches)
		check_add(&f->checks, CHECK_OPENED, CHECK_OK, NULL,
			  "not open in the guest now; it was");
	else
		check_add(&f->checks, CHECK_OPENED, CHECK_NOT_YET,
			  check_text("in the guest: echo hello >/okl4/%s",
				     ctl_string(channel, "name")),
			  "no program in the guest has opened it yet");
}

static void check_unix_listen(struct findings *f, struct json_object *endpoint)
{
	const char *path = ctl_string(endpoint, "path"),
		   *config = f->config ? f->config : "the configuration";
	struct access_text text = access_text(path);
	struct person p;
	int may;

	person_caller(&p);
	may = person_may(&p, path, 2);
	if (ctl_boolean(endpoint, "path_lost") || may == -ENOENT)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_FAILED,
			  check_text("%s%s reload   (makes it anew)", f->sudo, f->ctl),
			  "the socket %s was removed or replaced", path);
	else if (may < 0)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_UNKNOWN, NULL, "cannot look at %s: %s",
			  path, strerror(-may));
	else if (!may)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_FAILED,
			  check_text("give the endpoint \"mode\": \"0660\" in %s, and \"group\": a "
				     "group of %s\n%s%s reload",
				     config, p.name, f->sudo, f->ctl),
			  "%s may not connect to %s (%s)", p.name, path, text.text);
	else
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_OK, NULL, "%s%s (%s)",
			  ctl_boolean(endpoint, "connected") ? "a program is connected to " : "",
			  path, text.text);
	person_free(&p);
}

/* Endpoints that connect to a program, or listen on the network */
static void check_peer(struct findings *f, struct json_object *endpoint)
{
	const char *type = ctl_string(endpoint, "type"), *error = ctl_string(endpoint, "error");
	const char *path = ctl_string(endpoint, "path");
	const char *where = *path ? path : ctl_string(endpoint, "address");
	bool connects = strstr(type, "-connect");

	if (ctl_boolean(endpoint, "connected"))
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_OK, NULL, "%s %s, connected", type,
			  where);
	else if (connects && *error)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_FAILED,
			  check_text("start the program that listens at %s", where), "%s %s: %s",
			  type, where, error);
	else if (*path && access(path, F_OK))
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_NOT_YET,
			  check_text("start the program that listens there"), "%s %s: %s", type,
			  path, strerror(errno));
	else if (*error)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_UNKNOWN, NULL,
			  "%s %s; the last connection: %s", type, where, error);
	else
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_OK, NULL, "%s %s", type, where);
}

static void check_endpoint(struct findings *f, struct json_object *channel)
{
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	const char *type = ctl_string(endpoint, "type");
	const char *problem = ctl_string(channel, "problem");

	if (!*problem && !strcmp(ctl_string(channel, "state"), "unavailable"))
		problem = *ctl_string(channel, "error") ? ctl_string(channel, "error") :
							  ctl_string(endpoint, "error");
	if (*problem || !strcmp(ctl_string(channel, "state"), "unavailable"))
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_FAILED,
			  check_text("correct it, then: %s%s reload", f->sudo, f->ctl),
			  "configured, but not served: %s", problem);
	else if (!strcmp(type, "unix-listen"))
		check_unix_listen(f, endpoint);
	else if (*ctl_string(endpoint, "channel"))
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_OK, NULL, "joined to %s/%s%s",
			  ctl_string(endpoint, "guest"), ctl_string(endpoint, "channel"),
			  ctl_boolean(endpoint, "connected") ? ", connected" : "");
	else if (*ctl_string(endpoint, "path") || *ctl_string(endpoint, "address"))
		check_peer(f, endpoint);
	else
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_OK, NULL, "%s", type);
}

/* How often memory of the channel has failed */
static unsigned long long count_errors(struct json_object *channel)
{
	struct json_object *errors = ctl_object(channel, "errors");
	unsigned long long n = 0;

	if (!json_object_is_type(errors, json_type_object))
		return 0;
	json_object_object_foreach(errors, key, value) {
		(void)key;
		n += json_object_get_uint64(value);
	}
	return n;
}

void check_channel(struct findings *f, struct json_object *channel)
{
	unsigned long long lost = ctl_number(channel, "lost_bytes"), errors = count_errors(channel);

	f->checks.channel = ctl_string(channel, "name");
	check_opened(f, channel);
	check_endpoint(f, channel);
	if (errors)
		check_add(&f->checks, CHECK_OPENED, CHECK_UNKNOWN, NULL,
			  "has failed %llu times so far (%s channel %s/%s says why)", errors,
			  f->ctl, f->checks.guest, f->checks.channel);
	if (lost)
		check_add(&f->checks, CHECK_ENDPOINT, CHECK_UNKNOWN, NULL,
			  "%llu bytes of the guest were lost (%s channel %s/%s)", lost, f->ctl,
			  f->checks.guest, f->checks.channel);
	f->checks.channel = NULL;
}
