/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access.h - users of this host, their groups, and which sockets they may connect to
 */
#ifndef OKL4FSD_CTL_ACCESS_H
#define OKL4FSD_CTL_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct person - a user
 * @name: name, or number
 * @uid: number
 * @groups: their groups; owned
 * @n_groups: how many
 */
struct person {
	char name[64];
	uid_t uid;
	gid_t *groups;
	int n_groups;
};

/** person_caller() - the user of this process, with the groups that the process has */
void person_caller(struct person *p);

/** person_named() - a user as the system knows them; Return: whether it does */
bool person_named(struct person *p, const char *name);

/** person_free() - free what a person owns */
void person_free(struct person *p);

/** person_is_in() - whether a group is one of theirs */
bool person_is_in(const struct person *p, gid_t group);

/**
 * person_may() - whether a user may do something with a file, by owner, group and mode
 * @p: user
 * @path: file
 * @bits: 4 to read, 2 to write or connect, 1 to execute or pass
 *
 * The folders above are looked at, too.
 *
 * Return: 1: they may; 0: they may not; -errno: the file cannot be looked at.
 */
int person_may(const struct person *p, const char *path, unsigned int bits);

/** A file's owner, group and mode: "okl4fs:okl4fs 0660" */
struct access_text {
	char text[256];
};

/** access_text() - of a file; "" if it cannot be looked at */
struct access_text access_text(const char *path);

/** access_group() - a group's name, or its number */
struct access_text access_group(gid_t group);

#endif
