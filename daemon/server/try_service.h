/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * try_service.h - as which user a configuration is tried, and in which sandbox (private to server/try)
 */
#ifndef OKL4FSD_SERVER_TRY_SERVICE_H
#define OKL4FSD_SERVER_TRY_SERVICE_H

#include <stdbool.h>

#define TRY_USER "okl4fs" /* User= of the units */

/**
 * struct try_service - the unit that starts with a configuration
 * @unit: "okl4fsd.service" or "okl4fsd@NAME.service"; "": none
 * @control: where its socket unit listens
 */
struct try_service {
	char unit[128], control[96];
};

/** try_service_of() - the unit of a configuration: those in /etc/okl4fs have one; NULL: none */
struct try_service try_service_of(const char *path);

/** try_is_in_sandbox() - whether the function below has started this process, for that unit */
bool try_is_in_sandbox(const struct try_service *service);

/**
 * try_in_sandbox() - run this program with --check from inside the sandbox of a unit
 * @why: out: why that is not possible; static memory
 *
 * The service manager starts it with the user, the view of the file system and the network of the unit as it
 * is now, with its drop-ins, as a transient unit (systemd-run(1)).
 *
 * Return: its exit status, 0 or 1; or -1: it was not run.
 */
int try_in_sandbox(const struct try_service *service, const char *path, const char **why);

#endif
