/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - the table of endpoint types
 */
#ifndef OKL4FSD_ENDPOINT_TYPES_H
#define OKL4FSD_ENDPOINT_TYPES_H

#include "endpoint/endpoint.h"

/** endpoint_new() - of the type that @ch is configured for; loop's thread or before it runs; Return: 0 or -errno */
int endpoint_new(struct endpoint **ep, struct channel *ch);

#endif
