// SPDX-License-Identifier: BSD-3-Clause
/*
 * access.c - users of this host, their groups, and which sockets they may connect to
 */
#include "ctl/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

static void name_person(struct person *p)
{
	const struct passwd *pw = getpwuid(p->uid);

	if (pw)
		snprintf(p->name, sizeof(p->name), "%s", pw->pw_name);
	else
		snprintf(p->name, sizeof(p->name), "user %u", p->uid);
}

void person_caller(struct person *p)
{
	int n = getgroups(0, NULL);

	*p = (struct person){ .uid = geteuid() };
	name_person(p);
	n = n < 0 ? 0 : n;
	p->groups = calloc((size_t)n + 1, sizeof(*p->groups));
	if (!p->groups)
		return;
	n = getgroups(n, p->groups);
	p->n_groups = n < 0 ? 0 : n;
	p->groups[p->n_groups++] = getegid();
}

bool person_named(struct person *p, const char *name)
{
	const struct passwd *pw = getpwnam(name);
	int n = 0;

	*p = (struct person){ .n_groups = 0 };
	if (!pw)
		return false;
	p->uid = pw->pw_uid;
	snprintf(p->name, sizeof(p->name), "%s", name);
	getgrouplist(name, pw->pw_gid, NULL, &n);
	p->groups = calloc((size_t)n + 1, sizeof(*p->groups));
	if (p->groups && getgrouplist(name, pw->pw_gid, p->groups, &n) >= 0)
		p->n_groups = n;
	return true;
}

void person_free(struct person *p)
{
	free(p->groups);
	p->groups = NULL;
	p->n_groups = 0;
}

bool person_is_in(const struct person *p, gid_t group)
{
	for (int i = 0; i < p->n_groups; i++)
		if (p->groups[i] == group)
			return true;
	return false;
}

static bool mode_lets(const struct person *p, const struct stat *st, unsigned int bits)
{
	unsigned int mode = st->st_mode;

	if (!p->uid)
		return true;
	if (p->uid == st->st_uid)
		mode >>= 6;
	else if (person_is_in(p, st->st_gid))
		mode >>= 3;
	return (mode & bits) == bits;
}

int person_may(const struct person *p, const char *path, unsigned int bits)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!mode_lets(p, &st, bits))
		return 0;
	for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
		_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));

		if (!dir || stat(dir, &st))
			return dir ? -errno : -ENOMEM;
		if (!mode_lets(p, &st, 1))
			return 0;
	}
	return 1;
}

struct access_text access_group(gid_t group)
{
	const struct group *gr = getgrgid(group);
	struct access_text t;

	if (gr)
		snprintf(t.text, sizeof(t.text), "%s", gr->gr_name);
	else
		snprintf(t.text, sizeof(t.text), "%u", group);
	return t;
}

struct access_text access_text(const char *path)
{
	struct access_text t = { "" };
	struct person owner;
	struct stat st;

	if (stat(path, &st))
		return t;
	owner = (struct person){ .uid = st.st_uid };
	name_person(&owner);
	snprintf(t.text, sizeof(t.text), "%s:%.100s %04o", owner.name, access_group(st.st_gid).text,
		 st.st_mode & 07777);
	return t;
}
