/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * account.h - users and groups by name
 */
#ifndef OKL4FSD_UTIL_ACCOUNT_H
#define OKL4FSD_UTIL_ACCOUNT_H

#include <sys/types.h>

/** account_uid() - a user's number; Return: 0, -ESRCH: unknown user, or -errno */
int account_uid(const char *name, uid_t *uid);

/** account_gid() - a group's number; Return: 0, -ESRCH: unknown group, or -errno */
int account_gid(const char *name, gid_t *gid);

#endif
