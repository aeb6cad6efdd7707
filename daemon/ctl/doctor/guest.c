// SPDX-License-Identifier: BSD-3-Clause
/*
 * guest.c - from the vhost-user socket of a guest to its driver
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/access.h"
#include "ctl/doctor/channel.h"
#include "ctl/doctor/checks.h"
#include "ctl/result.h"
#include "ctl/text.h"
#include "util/fd.h"
#include "util/folder.h"

#define LIBVIRT_USER "libvirt-qemu"

static bool guest_listens(struct json_object *guest)
{
	return !strcmp(ctl_string(guest, "socket_mode"), "connect");
}

static const char *config_of(const struct findings *f)
{
	return f->config ? f->config : "the configuration";
}

/* Return: 1: the user may connect; 0: may not, or there is no such user; -errno */
static int may_connect(const char *name, const char *path)
{
	struct person p;
	int r;

	if (!name)
		person_caller(&p);
	else if (!person_named(&p, name))
		return 0;
	r = person_may(&p, path, 2);
	person_free(&p);
	return r;
}

/* A socket that is there, for the program that is to connect to it */
static void check_rights_of_socket(struct findings *f, const char *path, enum check_for whose)
{
	int caller = may_connect(NULL, path), libvirt = may_connect(LIBVIRT_USER, path);
	struct access_text text = access_text(path);
	struct person p;

	if (whose == CHECK_FOR_LIBVIRT ? libvirt > 0 :
	    whose == CHECK_FOR_ANY     ? caller > 0 || libvirt > 0 :
					 caller > 0) {
		check_add(&f->checks, CHECK_SOCKET, CHECK_OK, NULL, "%s (%s)", path, text.text);
		return;
	}
	if (caller < 0) {
		check_add(&f->checks, CHECK_SOCKET, CHECK_UNKNOWN, NULL, "cannot look at %s: %s",
			  path, strerror(-caller));
		return;
	}
	if (whose == CHECK_FOR_LIBVIRT) {
		check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
			  check_text("give the guest \"socket_group\": \"kvm\" in %s\n"
				     "%s%s reload",
				     config_of(f), f->sudo, f->ctl),
			  "libvirt's QEMU (" LIBVIRT_USER ", group kvm) may not connect to %s (%s)",
			  path, text.text);
		return;
	}
	person_caller(&p);
	check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
		  check_text("give the guest \"socket_group\": \"GROUP\" in %s, a group of %s\n"
			     "%s%s reload",
			     config_of(f), p.name, f->sudo, f->ctl),
		  "QEMU of %s may not connect to %s (%s)", p.name, path, text.text);
	person_free(&p);
}

static void check_listening(struct findings *f, struct json_object *guest, enum check_for whose)
{
	const char *path = ctl_string(guest, "socket");

	if (ctl_boolean(guest, "path_lost") || (access(path, F_OK) && geteuid() == 0))
		check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
			  check_text("%s%s reload   (makes it anew)", f->sudo, f->ctl),
			  "%s was removed or replaced", path);
	else
		check_rights_of_socket(f, path, whose);
}

/* The folder where QEMU listens, and its program may make a socket */
static void check_folder(struct findings *f, struct json_object *guest)
{
	_cleanup_free_ char *dir = folder_of(ctl_string(guest, "socket"));
	struct person p;
	struct stat st;
	int may;

	person_caller(&p);
	may = dir ? person_may(&p, dir, 3) : 0;
	if (may == -ENOENT)
		check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
			  check_text("%sinstall -d -m 2770 -o okl4fs -g okl4fs %s", f->sudo, dir),
			  "there is no folder %s for QEMU to listen in", dir);
	else if (!may || may < 0)
		check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
			  check_text("%sadduser %s %s\nlog in again", f->sudo, p.name,
				     dir && !stat(dir, &st) ? access_group(st.st_gid).text :
							      "okl4fs"),
			  "QEMU of %s may not listen in %s (%s)", p.name, dir,
			  access_text(dir).text);
	else
		check_add(&f->checks, CHECK_SOCKET, CHECK_OK, NULL, "QEMU may listen in %s (%s)",
			  dir, access_text(dir).text);
	person_free(&p);
}

static void check_socket(struct findings *f, struct json_object *guest, enum check_for whose)
{
	if (check_not_yet(&f->checks, CHECK_SOCKET))
		return;
	if (ctl_boolean(guest, "connected") && !ctl_boolean(guest, "path_lost"))
		check_add(&f->checks, CHECK_SOCKET, CHECK_OK, NULL, "%s is in use",
			  ctl_string(guest, "socket"));
	else if (guest_listens(guest))
		check_folder(f, guest);
	else
		check_listening(f, guest, whose);
}

static void check_qemu(struct findings *f, struct json_object *guest)
{
	const char *name = ctl_string(guest, "name"), *away = ctl_string(guest, "away");
	unsigned long long dropped =
		ctl_number(guest, "messages_dropped") + ctl_number(guest, "device_errors");

	if (check_not_yet(&f->checks, CHECK_QEMU))
		return;
	if (ctl_boolean(guest, "connected"))
		check_add(&f->checks, CHECK_QEMU, CHECK_OK, NULL, "connected");
	else if (*away && strstr(away, strerror(EACCES)))
		check_add(&f->checks, CHECK_QEMU, CHECK_FAILED,
			  check_text("start QEMU with umask 007, as a member of the folder's "
				     "group"),
			  "it listens, but the daemon may not connect (%s)", away);
	else
		check_add(&f->checks, CHECK_QEMU, CHECK_FAILED,
			  check_text("start it with what %s setup %s prints", f->ctl, name),
			  *away ? "does not listen (%s)" : "not connected%s", away);
	if (dropped)
		check_add(&f->checks, CHECK_QEMU, CHECK_UNKNOWN, NULL,
			  "%llu of its messages were refused so far (the daemon's log says why)",
			  dropped);
}

static void check_memory(struct findings *f, struct json_object *guest)
{
	unsigned long long bytes = ctl_number(guest, "memory_bytes");

	if (check_not_yet(&f->checks, CHECK_MEMORY))
		return;
	if (bytes)
		check_add(&f->checks, CHECK_MEMORY, CHECK_OK, NULL, "%s of the guest are shared",
			  text_size(bytes).text);
	else if (ctl_boolean(guest, "negotiated"))
		check_add(&f->checks, CHECK_MEMORY, CHECK_FAILED,
			  check_text("start it with share=on, as %s setup %s prints it", f->ctl,
				     ctl_string(guest, "name")),
			  "the guest uses the device, but QEMU does not share its memory");
	else
		check_add(&f->checks, CHECK_MEMORY, CHECK_UNKNOWN, NULL,
			  "not known: the guest has not begun to use the device");
}

static void check_driver(struct findings *f, struct json_object *guest)
{
	unsigned long long refused = ctl_number(guest, "requests_refused");

	if (check_not_yet(&f->checks, CHECK_DRIVER))
		return;
	if (ctl_boolean(guest, "ready"))
		check_add(&f->checks, CHECK_DRIVER, CHECK_OK, NULL, "has said hello");
	else if (refused)
		check_add(&f->checks, CHECK_DRIVER, CHECK_FAILED,
			  check_text("in the guest, as root: dmesg | grep okl4fs"),
			  "has not said hello properly: %llu of its requests were refused",
			  refused);
	else if (ctl_number(guest, "queues") && !ctl_number(guest, "fuse_requests_declined"))
		check_add(
			&f->checks, CHECK_DRIVER, CHECK_FAILED,
			check_text("start QEMU with share=on, as %s setup %s prints it; without it "
				   "okl4fsd sees other memory\n"
				   "or, in the guest: okl4fs-guest-doctor",
				   f->ctl, ctl_string(guest, "name")),
			"the guest uses the device, but okl4fsd sees no request of it");
	else
		check_add(&f->checks, CHECK_DRIVER, CHECK_FAILED,
			  check_text("in the guest: okl4fs-guest-doctor   (of the package "
				     "okl4fs-dkms)"),
			  "has not said hello: it is not loaded, or the guest has not booted");
}

/* A guest without the driver: how many of its ports QEMU has */
static void check_ports(struct findings *f, struct json_object *guest)
{
	const char *name = ctl_string(guest, "name");
	struct json_object *list;
	size_t n = ctl_list(f->channels, "channels", &list), there = 0, all = 0;

	if (check_not_yet(&f->checks, CHECK_QEMU))
		return;
	for (size_t i = 0; i < n; i++) {
		struct json_object *channel = json_object_array_get_idx(list, i);

		if (strcmp(ctl_string(channel, "guest"), name) != 0)
			continue;
		all++;
		there += !strcmp(ctl_string(channel, "state"), "attached");
	}
	if (ctl_boolean(guest, "path_lost"))
		check_add(&f->checks, CHECK_SOCKET, CHECK_FAILED,
			  check_text("%s%s reload   (makes it anew)", f->sudo, f->ctl),
			  "a port's socket was removed or replaced");
	if (there == all && all)
		check_add(&f->checks, CHECK_QEMU, CHECK_OK, NULL, "all %zu ports are connected",
			  all);
	else
		check_add(&f->checks, CHECK_QEMU, there ? CHECK_UNKNOWN : CHECK_FAILED,
			  check_text("start it with what %s setup %s prints", f->ctl, name),
			  "%zu of %zu ports are connected", there, all);
}

/* Why the daemon does not serve the guest; "" if it does */
static const char *problem_of(struct json_object *guest)
{
	const char *problem = ctl_string(guest, "problem");

	return *problem ? problem : ctl_string(guest, "error");
}

void check_guest(struct findings *f, struct json_object *guest, enum check_for whose)
{
	struct json_object *list;
	size_t n = ctl_list(f->channels, "channels", &list);

	f->checks.guest = ctl_string(guest, "name");
	f->checks.broken = N_CHECKS;
	if (*problem_of(guest))
		check_add(&f->checks, CHECK_GUEST, CHECK_FAILED,
			  check_text("correct it, then: %s%s reload", f->sudo, f->ctl),
			  "configured, but not served: %s", problem_of(guest));
	else
		check_add(&f->checks, CHECK_GUEST, CHECK_OK, NULL, "configured, channels: %llu",
			  ctl_number(guest, "channels"));
	if (!strcmp(ctl_string(guest, "way"), "serial")) {
		check_ports(f, guest);
	} else {
		check_socket(f, guest, whose);
		check_qemu(f, guest);
		check_memory(f, guest);
		check_driver(f, guest);
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *channel = json_object_array_get_idx(list, i);

		if (!strcmp(ctl_string(channel, "guest"), f->checks.guest))
			check_channel(f, channel);
	}
	f->checks.guest = NULL;
}
