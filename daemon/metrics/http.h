/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http.h - metrics over HTTP: GET /metrics, for Prometheus
 *
 * Runs on the main loop. Answers on a loopback address or a unix socket only: there is no encryption and
 * nobody is asked who he is, except by the mode of the unix socket, which is that of the control socket.
 */
#ifndef OKL4FSD_METRICS_HTTP_H
#define OKL4FSD_METRICS_HTTP_H

#include "loop/loop.h"
#include "server/server.h"

struct metrics_http;

/**
 * metrics_http_new() - listen where the server's configuration says
 * @http: out; NULL when metrics are not to be served
 * @loop: the main loop
 * @server: whose metrics; borrowed until metrics_http_free()
 *
 * Return: 0 or -errno, with a log line.
 */
int metrics_http_new(struct metrics_http **http, struct loop *loop, struct server *server);

/** metrics_http_reloaded() - listen anew if the socket's file is lost; NULL is allowed */
void metrics_http_reloaded(struct metrics_http *http);

/** metrics_http_free() - drop the clients, remove the socket; NULL is allowed; Return: NULL */
struct metrics_http *metrics_http_free(struct metrics_http *http);

#endif
