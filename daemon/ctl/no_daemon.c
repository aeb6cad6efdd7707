// SPDX-License-Identifier: BSD-3-Clause
/*
 * no_daemon.c - what to look at when a daemon cannot be reached
 */
#include "ctl/no_daemon.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "ctl/access.h"
#include "util/fd.h"

#define INSTANCES CONFIG_SYSTEM_DIR "/*/control.sock"

bool daemon_unit(const char *path, char *unit, size_t bytes)
{
	static const char dir[] = CONFIG_SYSTEM_DIR "/", file[] = "control.sock";
	const char *rest = path + sizeof(dir) - 1, *slash;

	if (strncmp(path, dir, sizeof(dir) - 1) != 0)
		return false;
	slash = strchr(rest, '/');
	snprintf(unit, bytes, "okl4fsd%s%.*s", slash ? "@" : "", slash ? (int)(slash - rest) : 0,
		 rest);
	return !strcmp(slash ? slash + 1 : rest, file);
}

static void hint_to_start(const char *path, char *text, size_t bytes)
{
	char unit[320], others[256] = "";
	glob_t found = { .gl_pathc = 0 };

	if (!daemon_unit(path, unit, sizeof(unit))) {
		snprintf(text, bytes,
			 "is that the control socket of a daemon that runs? Name another with -s");
		return;
	}
	if (!strchr(unit, '@') && !glob(INSTANCES, 0, NULL, &found))
		snprintf(others, sizeof(others), "\nthere are instances: try -s %s",
			 found.gl_pathv[0]);
	globfree(&found);
	snprintf(text, bytes, "see: systemctl status %s; journalctl -u %s%s", unit, unit, others);
}

/* The first folder on the way that this process may not search, or @path itself */
static bool refusing_group(const char *path, gid_t *gid, bool *has_rights)
{
	_cleanup_free_ char *part = strdup(path);
	struct stat st;

	if (!part || *path != '/')
		return false;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (eaccess(part, X_OK) && !stat(part, &st)) {
			*gid = st.st_gid;
			*has_rights = st.st_mode & S_IXGRP;
			return true;
		}
		*slash = '/';
	}
	if (stat(path, &st))
		return false;
	*gid = st.st_gid;
	*has_rights = st.st_mode & S_IWGRP;
	return true;
}

static void hint_about_group(const char *path, char *text, size_t bytes)
{
	struct person here, known; /* with the groups of this process, and by the group database */
	struct access_text group;
	bool has_rights;
	gid_t gid;

	snprintf(text, bytes, "its folder and its mode say which users can connect: ls -l %s",
		 path);
	if (!refusing_group(path, &gid, &has_rights) || !has_rights || !gid)
		return;
	person_caller(&here);
	group = access_group(gid);
	if (!person_named(&known, here.name) || person_is_in(&here, gid))
		;
	else if (person_is_in(&known, gid))
		snprintf(text, bytes,
			 "user %s is in the group %s, but this session began before: log in again, "
			 "or run: newgrp %s",
			 here.name, group.text, group.text);
	else
		snprintf(
			text, bytes,
			"members of the group %s can connect: sudo adduser %s %s, then log in again",
			group.text, here.name, group.text);
	person_free(&here);
	person_free(&known);
}

void no_daemon_hint(const char *path, int error, char *text, size_t bytes)
{
	if (error == EACCES)
		hint_about_group(path, text, bytes);
	else
		hint_to_start(path, text, bytes);
}
