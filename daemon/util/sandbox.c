// SPDX-License-Identifier: BSD-3-Clause
#include "util/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "util/words.h"

#define STATE_ROOT "/var/lib/"

/* A mount of this process; mounts do not change while a service runs, so the last one is remembered */
struct mount {
	unsigned long long id;
	enum sandbox_view view;
	char point[128];
};

static _Thread_local struct mount last_mount;
static _Thread_local char hint[512];

static bool is_service(void)
{
	return getenv("INVOCATION_ID") || getenv("NOTIFY_SOCKET");
}

/* "okl4fs", or "okl4fs/NAME" for an instance: what the units call its folders below /run and /var/lib */
static const char *folder_name(void)
{
	const char *state = getenv("STATE_DIRECTORY");

	return state && !strncmp(state, STATE_ROOT "okl4fs", strlen(STATE_ROOT "okl4fs")) ?
		       state + strlen(STATE_ROOT) :
		       "okl4fs";
}

static enum sandbox_view view_of_root(const char *root, const char *options)
{
	if (strstr(root, "/systemd-private-"))
		return SANDBOX_PRIVATE;
	if (strstr(root, "/inaccessible/dir"))
		return SANDBOX_AWAY;
	return !strncmp(options, "ro", 2) && (!options[2] || options[2] == ',') ?
		       SANDBOX_READ_ONLY :
		       SANDBOX_AS_ALL;
}

static void look_up_mount(unsigned long long id)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	last_mount = (struct mount){ .id = id };
	while (f && getline(&line, &size, f) > 0) {
		char *word[6]; /* id, parent, device, root, mount point, options */

		if (words_split(line, word, 6) < 6 || strtoull(word[0], NULL, 10) != id)
			continue;
		last_mount.view = view_of_root(word[3], word[5]);
		snprintf(last_mount.point, sizeof(last_mount.point), "%s", word[4]);
	}
	if (f)
		fclose(f);
}

enum sandbox_view sandbox_view(const char *path)
{
	_cleanup_free_ char *part = strdup(path);
	struct statx st = { 0 };
	char *slash;

	/* The nearest folder that exists, or may be looked at */
	while (part && statx(AT_FDCWD, *part ? part : "/", 0, STATX_MNT_ID, &st)) {
		slash = strrchr(part, '/');
		if (!slash)
			return SANDBOX_AS_ALL;
		*slash = 0;
	}
	if (!(st.stx_mask & STATX_MNT_ID))
		return SANDBOX_AS_ALL;
	if (last_mount.id != st.stx_mnt_id)
		look_up_mount(st.stx_mnt_id);
	return last_mount.view;
}

bool sandbox_hides(const char *path)
{
	return sandbox_view(path) >= SANDBOX_PRIVATE;
}

static const char *way_out(enum sandbox_use use)
{
	static _Thread_local char text[160];
	const char *name = folder_name();

	if (use == SANDBOX_FILE)
		snprintf(text, sizeof(text), "put the file below " STATE_ROOT "%s", name);
	else if (use == SANDBOX_SOCKET)
		snprintf(text, sizeof(text), "choose a path below /run/%s", name);
	else
		snprintf(text, sizeof(text),
			 "have the other program listen below /run, for example in /run/%s/qemu",
			 name);
	return text;
}

const char *sandbox_path_hint(const char *path, enum sandbox_use use)
{
	*hint = 0;
	switch (sandbox_view(path)) {
	case SANDBOX_PRIVATE:
		snprintf(hint, sizeof(hint),
			 " (the service has a %s of its own, which no other program sees: %s)",
			 last_mount.point, way_out(use));
		break;
	case SANDBOX_AWAY:
		snprintf(hint, sizeof(hint), " (the service does not see %s: %s)", last_mount.point,
			 way_out(use));
		break;
	case SANDBOX_READ_ONLY:
		if (use == SANDBOX_SOCKET && is_service())
			snprintf(hint, sizeof(hint),
				 " (the service may not write there: %s; a drop-in with "
				 "ReadWritePaths= adds folders)",
				 way_out(use));
		else if (use == SANDBOX_SOCKET)
			snprintf(hint, sizeof(hint), " (choose a path that is not read-only)");
		break;
	case SANDBOX_AS_ALL:
		break;
	}
	return hint;
}

/* Whether there is an interface beside the loopback one of a network namespace of its own */
static bool has_interface(void)
{
	FILE *f = fopen("/proc/self/net/dev", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int n = 0;

	if (!f)
		return true;
	while (getline(&line, &size, f) > 0)
		n += strchr(line, ':') && !strstr(line, " lo:");
	fclose(f);
	return n;
}

static bool may_use_network(void)
{
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 || errno != EAFNOSUPPORT;
}

const char *sandbox_network_hint(int error)
{
	const char *name = folder_name(), *slash = strchr(name, '/');
	bool absent = error == ENETUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL;
	char unit[96];

	*hint = 0;
	if (!is_service() || (may_use_network() && (!absent || has_interface())))
		return hint;
	snprintf(unit, sizeof(unit), slash ? "okl4fsd@%.64s.service" : "okl4fsd.service",
		 slash ? slash + 1 : "");
	snprintf(hint, sizeof(hint),
		 " (the service has no network; network.conf gives it one: "
		 "install -Dm644 -t /etc/systemd/system/%s.d "
		 "/usr/share/doc/okl4fs/examples/network.conf; systemctl daemon-reload; "
		 "systemctl restart %s)",
		 unit, unit);
	return hint;
}
