/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format.h - the text formats of the metrics, and the choice between them for each client
 *
 * OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics, specification/OpenMetrics.md), and the
 * format that Prometheus had before it, version 0.0.4.
 */
#ifndef OKL4FSD_METRICS_FORMAT_H
#define OKL4FSD_METRICS_FORMAT_H

/** enum metrics_format - how metrics are written */
enum metrics_format { METRICS_OPENMETRICS, METRICS_PROMETHEUS, N_METRICS_FORMATS };

/** metrics_content_type() - what HTTP calls a format; static memory */
const char *metrics_content_type(enum metrics_format format);

/**
 * metrics_choose() - the format that a client asks for
 * @accept: the value of its Accept header (RFC 9110, section 12.5.1); NULL: it has none
 *
 * Return: OpenMetrics if the client names it and wants it at least as much as text/plain.
 */
enum metrics_format metrics_choose(const char *accept);

#endif
