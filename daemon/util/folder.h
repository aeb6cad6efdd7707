/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * folder.h - the folder of a path
 */
#ifndef OKL4FSD_UTIL_FOLDER_H
#define OKL4FSD_UTIL_FOLDER_H

#include <string.h>

/** folder_of() - the folder that holds a file, a new string; NULL: out of memory */
static inline char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

#endif
