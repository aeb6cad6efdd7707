// SPDX-License-Identifier: BSD-3-Clause
/*
 * setup.c - `setup GUEST`: the whole way from nothing to the first bytes, for one guest
 *
 * Which steps are done is what doctor's checks say. Those that are not come with what to type, with
 * the paths and groups of this host and of this configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "config/config.h"
#include "ctl/access.h"
#include "ctl/command.h"
#include "ctl/doctor/checks.h"
#include "ctl/qemu_args.h"
#include "ctl/quote.h"
#include "ctl/result.h"
#include "ctl/text.h"
#include "util/fd.h"

/**
 * struct plan - the list while it is made
 * @f: what was found
 * @guest: name
 * @target: the program that will run it
 * @machine: its virtual machine
 * @steps: out: objects with title, done and lines
 */
struct plan {
	const struct findings *f;
	const char *guest;
	enum ctl_target target;
	struct machine machine;
	struct json_object *steps;
};

static const char *program_of(enum ctl_target target)
{
	return target == FOR_QEMU ? "QEMU" : target == FOR_CLOUD ? "Cloud Hypervisor" : "libvirt";
}

/* @title is consumed; Return: its lines */
static struct json_object *add_step(struct plan *p, char *title, bool done)
{
	struct json_object *step = json_object_new_object(), *lines = json_object_new_array();

	json_object_object_add(step, "title", json_object_new_string(title));
	json_object_object_add(step, "done", json_object_new_boolean(done));
	json_object_object_add(step, "lines", lines);
	json_object_array_add(p->steps, step);
	free(title);
	return lines;
}

/* @text is consumed; each of its lines becomes one */
static void add_lines(struct json_object *lines, char *text)
{
	for (const char *line = text; line && *line;) {
		size_t n = strcspn(line, "\n");

		json_object_array_add(lines, json_object_new_string_len(line, (int)n));
		line += n + (line[n] == '\n');
	}
	free(text);
}

static bool is_ok(const struct plan *p, enum check_kind kind)
{
	const struct check *c = check_find(&p->f->checks, kind);

	return c && c->state == CHECK_OK;
}

/* A step that is one check: what doctor says of it, unless it is well */
static struct json_object *add_checked(struct plan *p, enum check_kind kind, char *title)
{
	const struct check *c = check_find(&p->f->checks, kind);
	bool done = c && c->state == CHECK_OK;
	struct json_object *lines = add_step(p, title, done);

	if (!done && c && c->way_out)
		add_lines(lines, check_text("%s", c->way_out));
	return lines;
}

static void add_daemon_steps(struct plan *p)
{
	const struct check *group = check_find(&p->f->checks, CHECK_GROUP);

	add_checked(p, CHECK_GROUP,
		    check_text("On the host: %s", group->state == CHECK_OK ?
							  group->detail :
							  "be in the group of the daemon"));
	add_checked(p, CHECK_DAEMON, check_text("On the host: the daemon okl4fsd runs"));
}

/* Names go into commands of a shell */
static char *quoted(const char *text)
{
	char *word = quote_shell(text);

	return word ? word : check_text("%s", text);
}

static void add_guest_lines(struct plan *p, struct json_object *lines)
{
	_cleanup_free_ char *name = quoted(p->guest);
	_cleanup_free_ char *socket = quoted(p->machine.socket);
	_cleanup_free_ char *endpoint =
		check_text("unix-listen:%s/%s.console.sock", CONFIG_SYSTEM_DIR, p->guest);
	_cleanup_free_ char *end = quoted(endpoint);

	add_lines(lines, check_text("%s%s guest-add %s --socket %s%s", p->f->sudo, p->f->ctl, name,
				    socket, p->target >= FOR_LIBVIRT ? " --group kvm" : ""));
	add_lines(lines, check_text("%s%s channel-add %s console --endpoint %s", p->f->sudo,
				    p->f->ctl, name, end));
	add_lines(lines, check_text("%s%s config save   # else they last until the next reload",
				    p->f->sudo, p->f->ctl));
}

static void add_guest_step(struct plan *p)
{
	const struct check *socket = check_find(&p->f->checks, CHECK_SOCKET);
	bool there = is_ok(p, CHECK_GUEST), usable = !socket || socket->state != CHECK_FAILED;
	struct json_object *lines = add_step(
		p,
		check_text("On the host: \"%s\" is in the configuration, and %s may use its socket",
			   p->guest, program_of(p->target)),
		there && usable);
	const struct check *guest = check_find(&p->f->checks, CHECK_GUEST);

	if (!is_ok(p, CHECK_DAEMON))
		add_lines(lines, check_text("not known yet: after the steps above, this again"));
	else if (!findings_guest(p->f, p->guest))
		add_guest_lines(p, lines);
	else if (!there)
		add_lines(lines, check_text("%s\n%s", guest->detail, guest->way_out));
	else if (!usable)
		add_lines(lines, check_text("%s\n%s", socket->detail, socket->way_out));
}

/* Where AppArmor is on, libvirt lets QEMU use only the sockets that it knows */
static void add_apparmor_lines(struct json_object *lines)
{
	if (access("/sys/kernel/security/apparmor", F_OK))
		return;
	add_lines(lines,
		  check_text("If AppArmor confines QEMU (aa-status), allow it the sockets first:\n"
			     "sudo mkdir -p /etc/apparmor.d/local/abstractions\n"
			     "sudo tee -a /etc/apparmor.d/local/abstractions/libvirt-qemu \\\n"
			     "    </usr/share/okl4fs/apparmor-libvirt-qemu"));
}

static void add_machine_step(struct plan *p)
{
	bool done = is_ok(p, CHECK_QEMU);
	const struct check *memory = check_find(&p->f->checks, CHECK_MEMORY);
	bool shared = !memory || memory->state != CHECK_FAILED;
	struct json_object *lines = add_step(
		p,
		check_text("On the host: start the guest under %s%s", program_of(p->target),
			   p->target == FOR_LIBVIRT_DEVICE ? ", with this device" :
			   p->target == FOR_LIBVIRT        ? ", as this domain with a disk" :
							     " with, besides its own arguments:"),
		done && shared);

	if (!done && (p->target == FOR_LIBVIRT || p->target == FOR_LIBVIRT_DEVICE))
		add_apparmor_lines(lines);
	if (!done || !shared)
		add_lines(lines, ctl_target_text(p->target, &p->machine));
	if (!done && p->target == FOR_LIBVIRT_DEVICE)
		add_lines(lines, check_text("(with <memoryBacking><source type='memfd'/>"
					    "<access mode='shared'/></memoryBacking>)"));
}

static void add_driver_step(struct plan *p)
{
	struct json_object *lines =
		add_step(p, check_text("In the guest: the driver is installed, and has said hello"),
			 is_ok(p, CHECK_DRIVER));

	if (is_ok(p, CHECK_DRIVER))
		return;
	add_lines(lines,
		  check_text(
			  "host$ scp okl4fs-dkms_*.deb GUEST:\n"
			  "   (other ways, without a network too: /usr/share/doc/okl4fs/guest.md)\n"
			  "guest$ sudo apt install ./okl4fs-dkms_*.deb linux-headers-$(uname -r)\n"
			  "guest$ sudo adduser $USER okl4fs     (and log in again)\n"
			  "guest$ okl4fs-guest-doctor"));
}

/* The channel that is easiest to try: one that a program connects to */
static struct json_object *best_channel(const struct plan *p)
{
	struct json_object *list, *best = NULL;
	size_t n = ctl_list(p->f->channels, "channels", &list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		struct json_object *endpoint = ctl_object(c, "endpoint");

		if (!strcmp(ctl_string(c, "guest"), p->guest) &&
		    (!best || (strcmp(ctl_string(ctl_object(best, "endpoint"), "type"),
				      "unix-listen") != 0 &&
			       !strcmp(ctl_string(endpoint, "type"), "unix-listen"))))
			best = c;
	}
	return best;
}

static void add_bytes_step(struct plan *p)
{
	struct json_object *channel = best_channel(p), *lines;
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	const char *name = channel ? ctl_string(channel, "name") : "console";
	const char *type = channel ? ctl_string(endpoint, "type") : "unix-listen";
	_cleanup_free_ char *whole = check_text("%s/%s", p->guest, name);
	_cleanup_free_ char *path =
		check_text(p->machine.serial ? "/dev/virtio-ports/okl4.%s" : "/okl4/%s", name);
	_cleanup_free_ char *word = quoted(whole), *file = quoted(path);

	lines = add_step(p, check_text("The first bytes"),
			 ctl_number(ctl_object(channel, "fwd"), "bytes") != 0 ||
				 ctl_number(ctl_object(channel, "bwd"), "bytes") != 0);
	if (!strcmp(type, "unix-listen"))
		add_lines(lines, check_text("host$ %s attach %s", p->f->ctl, word));
	add_lines(lines, check_text("guest$ echo hello >%s", file));
	if (!strcmp(type, "echo"))
		add_lines(lines, check_text("guest$ head -n 1 %s", file));
}

static void print_plan(const struct plan *p)
{
	_cleanup_free_ char *name = text_safe(p->guest);
	struct json_object *lines;

	printf("How \"%s\" gets its channels, under %s. [x] is done.\n", name,
	       program_of(p->target));
	for (size_t i = 0; i < json_object_array_length(p->steps); i++) {
		struct json_object *step = json_object_array_get_idx(p->steps, i);
		size_t n = ctl_list(step, "lines", &lines);
		_cleanup_free_ char *title = text_safe(ctl_string(step, "title"));

		printf("\n[%c] %zu. %s\n", ctl_boolean(step, "done") ? 'x' : ' ', i + 1, title);
		for (size_t j = 0; j < n; j++) {
			_cleanup_free_ char *line = text_safe(
				json_object_get_string(json_object_array_get_idx(lines, j)));

			printf("       %s\n", line);
		}
	}
	printf("\n%s doctor %s says what is wrong with a step that is not done.\n", p->f->ctl,
	       name);
}

static void show_plan(const struct ctl *ctl, struct plan *p)
{
	struct json_object *object;

	if (!ctl->json) {
		print_plan(p);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "guest", json_object_new_string(p->guest));
	json_object_object_add(object, "program", json_object_new_string(program_of(p->target)));
	json_object_object_add(object, "steps", json_object_get(p->steps));
	ctl_show_json(object);
	json_object_put(object);
}

static enum ctl_exit run_setup(const struct ctl *ctl, char **args)
{
	struct plan p = { .guest = args[0] };
	_cleanup_free_ char *socket = check_text("%s/%s.sock", CONFIG_SYSTEM_DIR, args[0]);
	struct json_object *guest;
	struct findings f;
	bool possible;

	if (!ctl_read_target("setup", &p.target, &p.machine))
		return CTL_USAGE;
	find_out(&f, ctl, args[0], p.target >= FOR_LIBVIRT ? CHECK_FOR_LIBVIRT : CHECK_FOR_CALLER);
	guest = findings_guest(&f, args[0]);
	p.f = &f;
	machine_of_guest(&p.machine, guest, f.channels);
	p.machine.guest = args[0];
	if (!guest)
		p.machine.socket = socket;
	possible = ctl_target_is_possible(p.target, &p.machine);
	if (possible) {
		p.steps = json_object_new_array();
		add_daemon_steps(&p);
		add_guest_step(&p);
		add_machine_step(&p);
		if (!p.machine.serial)
			add_driver_step(&p);
		add_bytes_step(&p);
		show_plan(ctl, &p);
		json_object_put(p.steps);
	}
	machine_deinit(&p.machine);
	findings_free(&f);
	return possible ? CTL_DONE : CTL_REFUSED;
}

const struct ctl_command ctl_setup = {
	.name = "setup",
	.arguments = "GUEST",
	.summary = "all steps to the first bytes of a guest",
	.help = "Each step comes with what to type; those that are done are marked.\n",
	.options = ctl_target_options,
	.min = 1,
	.max = 1,
	.run = run_setup,
};
