// SPDX-License-Identifier: BSD-3-Clause
#include "util/program.h"

#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int program_run(char *const argv[], int out, int err)
{
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	fflush(NULL);
	if (posix_spawn_file_actions_init(&actions))
		return -1;
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (err >= 0)
		posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		status = -1;
	posix_spawn_file_actions_destroy(&actions);
	return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
