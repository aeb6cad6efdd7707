/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http.h - metrics over HTTP: GET /metrics, for Prometheus
 *
 * It runs on the main loop. It answers only on a loopback address or a unix socket, since there is no
 * encryption and no login: only the mode of the unix socket, which is that of the control socket, keeps
 * users out.
 */
#ifndef OKL4FSD_METRICS_HTTP_H
#define OKL4FSD_METRICS_HTTP_H

#include "loop/loop.h"
#include "server/server.h"

struct metrics_http;

/**
 * metrics_http_new() - listen where the server's configuration says
 * @http: out; NULL if the configuration says nowhere
 * @loop: the main loop
 * @server: has the guests; borrowed until metrics_http_free()
 *
 * Return: 0 or -errno, with a log line.
 */
int metrics_http_new(struct metrics_http **http, struct loop *loop, struct server *server);

/** metrics_http_reloaded() - listen again if the socket's file is lost; NULL is allowed */
void metrics_http_reloaded(struct metrics_http *http);

/** metrics_http_free() - drop the clients, remove the socket; NULL is allowed; Return: NULL */
struct metrics_http *metrics_http_free(struct metrics_http *http);

#endif
