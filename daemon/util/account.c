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
#include <stdlib.h>

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
