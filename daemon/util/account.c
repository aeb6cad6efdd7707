// SPDX-License-Identifier: BSD-3-Clause
/*
 * account.c - users and groups by name
 *
 * The members of a large group can take much room, so the buffer grows until the entry fits
 * (getgrnam_r(3), ERANGE).
 */
#include "util/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/fd.h"

#define FIRST_BYTES 1024
#define MAX_BYTES   (1U << 20)

int account_uid(const char *name, uid_t *uid)
{
	struct passwd pw, *found = NULL;
	int r = ERANGE;

	for (size_t bytes = FIRST_BYTES; r == ERANGE && bytes <= MAX_BYTES; bytes *= 2) {
		char *buf = malloc(bytes);

		r = buf ? getpwnam_r(name, &pw, buf, bytes, &found) : ENOMEM;
		if (!r && found)
			*uid = found->pw_uid;
		free(buf);
	}
	return r ? -r : found ? 0 : -ESRCH;
}

int account_gid(const char *name, gid_t *gid)
{
	struct group gr, *found = NULL;
	int r = ERANGE;

	for (size_t bytes = FIRST_BYTES; r == ERANGE && bytes <= MAX_BYTES; bytes *= 2) {
		char *buf = malloc(bytes);

		r = buf ? getgrnam_r(name, &gr, buf, bytes, &found) : ENOMEM;
		if (!r && found)
			*gid = found->gr_gid;
		free(buf);
	}
	return r ? -r : found ? 0 : -ESRCH;
}

bool account_is_member(gid_t gid)
{
	int n = getgroups(0, NULL);
	_cleanup_free_ gid_t *all = calloc((size_t)(n > 0 ? n : 0) + 1, sizeof(*all));
	bool found = !geteuid() || getegid() == gid;

	n = all && n > 0 ? getgroups(n, all) : 0;
	for (int i = 0; i < n && !found; i++)
		found = all[i] == gid;
	return found;
}

const char *account_name(void)
{
	static _Thread_local char name[64];
	struct passwd *pw = getpwuid(geteuid());

	if (pw)
		snprintf(name, sizeof(name), "%s", pw->pw_name);
	else
		snprintf(name, sizeof(name), "%u", geteuid());
	return name;
}

int account_become(const char *name)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return errno ? -errno : -ESRCH;
	if (initgroups(name, pw->pw_gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid))
		return -errno;
	return 0;
}
