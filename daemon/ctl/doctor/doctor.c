// SPDX-License-Identifier: BSD-3-Clause
/*
 * doctor.c - `doctor [GUEST]`: what does not work on the way to a channel, and what to do about it
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/command.h"
#include "ctl/doctor/checks.h"
#include "ctl/quote.h"
#include "ctl/result.h"
#include "util/fd.h"

/* The daemon does not know the guest, or cannot be asked */
static void add_missing(struct findings *f, const char *name)
{
	f->checks.guest = name;
	if (!check_not_yet(&f->checks, CHECK_GUEST))
		check_add(&f->checks, CHECK_GUEST, CHECK_FAILED,
			  check_text("%s setup %s prints what to type", f->ctl, name),
			  "not configured (%s guests lists those that are)", f->ctl);
	for (int kind = CHECK_SOCKET; kind <= CHECK_DRIVER; kind++)
		check_not_yet(&f->checks, (enum check_kind)kind);
	f->checks.guest = NULL;
}

static char *call_of(const struct ctl *ctl)
{
	_cleanup_free_ char *socket = ctl->socket ? quote_shell(ctl->socket) : NULL;

	return socket ? check_text("okl4fsctl -s %s", socket) : check_text("okl4fsctl");
}

void find_out(struct findings *f, const struct ctl *ctl, const char *guest, enum check_for whose)
{
	struct json_object *list, *one;
	size_t n;

	*f = (struct findings){ .checks = { .broken = N_CHECKS },
				.sudo = geteuid() ? "sudo " : "" };
	f->ctl = call_of(ctl);
	check_host(f, ctl, guest);
	n = ctl_list(f->guests, "guests", &list);
	one = guest ? findings_guest(f, guest) : NULL;
	if (one)
		check_guest(f, one, whose);
	else if (guest)
		add_missing(f, guest);
	else
		for (size_t i = 0; i < n; i++)
			check_guest(f, json_object_array_get_idx(list, i), whose);
}

void findings_free(struct findings *f)
{
	checks_free(&f->checks);
	free(f->config);
	free(f->ctl);
	json_object_put(f->guests);
	json_object_put(f->channels);
}

static enum ctl_exit run_doctor(const struct ctl *ctl, char **args)
{
	struct json_object *object;
	struct findings f;
	enum ctl_exit r;

	find_out(&f, ctl, args[0], CHECK_FOR_ANY);
	if (ctl->json) {
		object = checks_json(&f.checks);
		ctl_show_json(object);
		json_object_put(object);
	} else {
		checks_print(&f.checks);
	}
	r = checks_failed(&f.checks) ? CTL_REFUSED : CTL_DONE;
	findings_free(&f);
	return r;
}

const struct ctl_command ctl_doctor = {
	.name = "doctor",
	.arguments = "[GUEST]",
	.summary = "check each step, and say what to do",
	.help = "Each line is ok, FAIL or -- (not known, or not yet). It ends with 0 if nothing\n"
		"fails, else with 1. In the guest, okl4fs-guest-doctor checks the other half.\n",
	.max = 1,
	.run = run_doctor,
};
