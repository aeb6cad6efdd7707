// SPDX-License-Identifier: BSD-3-Clause
/*
 * dir.c - where sockets lie by default; okl4fsctl is built with it too, and looks for them there
 */
#include "config/config.h"

#include <stdlib.h>
#include <unistd.h>

const char *config_runtime_dir(void)
{
	static _Thread_local char dir[256];
	const char *user = getenv("XDG_RUNTIME_DIR");
	int n;

	if (!geteuid() || !user || user[0] != '/')
		return CONFIG_SYSTEM_DIR;
	n = snprintf(dir, sizeof(dir), "%s/okl4fs", user);
	return n < (int)sizeof(dir) ? dir : CONFIG_SYSTEM_DIR;
}
