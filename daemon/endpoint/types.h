/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - the table of endpoint types
 */
#ifndef OKL4FSD_ENDPOINT_TYPES_H
#define OKL4FSD_ENDPOINT_TYPES_H

#include "endpoint/endpoint.h"

/**
 * endpoint_new() - make an endpoint of the type that @ch is configured for
 * @ep: out
 * @ch: channel
 *
 * On the loop's thread, or before the loop runs. Return: 0 or -errno, with a log line.
 */
int endpoint_new(struct endpoint **ep, struct channel *ch);

#endif
