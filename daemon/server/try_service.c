// SPDX-License-Identifier: BSD-3-Clause
#include "server/try_service.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "util/fd.h"
#include "util/program.h"

#define CONFIG_FOLDER "/etc/okl4fs/"
#define INSIDE        "OKL4FSD_CHECK_INSIDE" /* environment: the unit in whose sandbox this runs */
#define MAX_ARGS      96

/* What decides what a service sees, may write to, and may talk to */
static const char *const properties[] = {
	"User",
	"Group",
	"SupplementaryGroups",
	"PrivateTmp",
	"PrivateDevices",
	"PrivateNetwork",
	"PrivateMounts",
	"ProtectHome",
	"ProtectSystem",
	"ReadWritePaths",
	"ReadOnlyPaths",
	"InaccessiblePaths",
	"TemporaryFileSystem",
	"BindPaths",
	"BindReadOnlyPaths",
	"RestrictAddressFamilies",
	"RuntimeDirectory",
	"RuntimeDirectoryMode",
	"StateDirectory",
	"StateDirectoryMode",
};

struct try_service try_service_of(const char *path)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	_cleanup_free_ char *full = path ? realpath(path, NULL) : NULL;
	struct try_service s = { "", "" };
	const char *name = full ? full + strlen(CONFIG_FOLDER) : "";
	size_t n;

	if (!full || strncmp(full, CONFIG_FOLDER, strlen(CONFIG_FOLDER)) != 0)
		return s;
	n = strspn(name, allowed);
	if (n < 6 || n > 69 || name[n] || strcmp(name + n - 5, ".json") != 0)
		return s;
	n -= strlen(".json");
	if (n == strlen("okl4fsd") && !strncmp(name, "okl4fsd", n)) {
		snprintf(s.unit, sizeof(s.unit), "okl4fsd.service");
		snprintf(s.control, sizeof(s.control), CONFIG_SYSTEM_DIR "/control.sock");
	} else {
		snprintf(s.unit, sizeof(s.unit), "okl4fsd@%.*s.service", (int)n, name);
		snprintf(s.control, sizeof(s.control), CONFIG_SYSTEM_DIR "/%.*s/control.sock",
			 (int)n, name);
	}
	return s;
}

/* A command line that is made piece by piece */
struct command {
	char *arg[MAX_ARGS];
	int n;
};

static void add_arg(struct command *c, const char *prefix, const char *text)
{
	char *arg;

	if (c->n < MAX_ARGS - 1 && asprintf(&arg, "%s%s", prefix, text) >= 0)
		c->arg[c->n++] = arg;
}

static void free_command(struct command *c)
{
	while (c->n)
		free(c->arg[--c->n]);
}

static bool is_wanted(const char *line)
{
	size_t n = strcspn(line, "=");
	const char *value = line + n + 1;

	if (!line[n] || !*value || !strcmp(value, "~"))
		return false;
	for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
		if (strlen(properties[i]) == n && !strncmp(line, properties[i], n))
			return true;
	}
	return false;
}

/* @out: standard output; -1: ours. Return: the exit status, or -1 */
static int run_command(struct command *c, int out)
{
	c->arg[c->n] = NULL;
	return c->arg[0] ? program_run(c->arg, out, -1) : -1;
}

/* Return: whether there is such a unit */
static bool add_properties(struct command *c, const char *unit)
{
	_cleanup_free_ char *line = NULL;
	struct command ask = { .n = 0 };
	FILE *f = tmpfile();
	bool loaded = false;
	size_t size = 0;

	if (!f)
		return false;
	add_arg(&ask, "", "systemctl");
	add_arg(&ask, "", "show");
	add_arg(&ask, "", unit);
	if (!run_command(&ask, fileno(f)))
		rewind(f);
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		loaded |= !strcmp(line, "LoadState=loaded");
		if (is_wanted(line))
			add_arg(c, "--property=", line);
	}
	fclose(f);
	free_command(&ask);
	return loaded;
}

bool try_is_in_sandbox(const struct try_service *service)
{
	const char *unit = getenv(INSIDE);

	return unit && *unit && !strcmp(unit, service->unit);
}

int try_in_sandbox(const struct try_service *service, const char *path, const char **why)
{
	static const char *const begin[] = {
		"systemd-run", "--quiet",   "--wait",
		"--pipe",      "--collect", "--property=RuntimeDirectoryPreserve=yes"
	};
	_cleanup_free_ char *full = realpath(path, NULL), *self = realpath("/proc/self/exe", NULL);
	struct command c = { .n = 0 };
	int r = -1;

	*why = "systemd does not run here";
	if (access("/run/systemd/system", F_OK) || !full || !self)
		return -1;
	*why = "the system's message bus (dbus) does not run here";
	if (access("/run/dbus/system_bus_socket", F_OK))
		return -1;
	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		add_arg(&c, "", begin[i]);
	*why = "systemd does not have this unit";
	if (add_properties(&c, service->unit)) {
		add_arg(&c, "--setenv=" INSIDE "=", service->unit);
		add_arg(&c, "", "--");
		add_arg(&c, "", self);
		add_arg(&c, "", "--check");
		add_arg(&c, "--config=", full);
		*why = "systemd-run failed";
		r = run_command(&c, -1);
	}
	free_command(&c);
	return r == 0 || r == 1 ? r : -1;
}
