/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * account.h - users and groups by name
 */
#ifndef OKL4FSD_UTIL_ACCOUNT_H
#define OKL4FSD_UTIL_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

/** account_uid() - a user's number; Return: 0, -ESRCH: unknown user, or -errno */
int account_uid(const char *name, uid_t *uid);

/** account_gid() - a group's number; Return: 0, -ESRCH: unknown group, or -errno */
int account_gid(const char *name, gid_t *gid);

/** account_is_member() - whether this process may give a file to a group: it is root, or a member */
bool account_is_member(gid_t gid);

/** account_name() - name of the effective user, or its number; static memory of the thread */
const char *account_name(void);

/** account_become() - be another user with its groups, for good; Return: 0, -ESRCH: unknown, or -errno */
int account_become(const char *name);

#endif
