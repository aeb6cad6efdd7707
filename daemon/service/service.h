/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service.h - the daemon as a service: its status text and its watchdog
 *
 * The text says how many guests and channels there are, how many bytes were moved, and how many
 * problems the configuration has (server_problems()). It is sent when
 * something has happened to a guest or a channel, at most once per second, and with each beat of the
 * watchdog. While nothing happens and there is no watchdog, nothing is done.
 */
#ifndef OKL4FSD_SERVICE_SERVICE_H
#define OKL4FSD_SERVICE_SERVICE_H

#include "loop/loop.h"
#include "server/server.h"

struct service;

/**
 * service_new() - tell the service manager that the daemon is ready, and keep it informed from now on
 * @service: out; NULL: there is no service manager
 * @main_loop: loop of the calling thread
 * @server: borrowed until service_free()
 *
 * Main. Return: 0 or -ENOMEM.
 */
int service_new(struct service **service, struct loop *main_loop, struct server *server);

/** service_free() - stop telling; main; NULL is allowed; Return: NULL */
struct service *service_free(struct service *service);

#endif
