/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bom.h - byte order marks, which some editors put before a text and JSON must not have (RFC 8259,
 * section 8.1)
 */
#ifndef OKL4FSD_UTIL_BOM_H
#define OKL4FSD_UTIL_BOM_H

#include <stddef.h>

/** bom_refusal() - a sentence that says what to do when a text begins with one; NULL: it does not */
const char *bom_refusal(const char *text, size_t bytes);

#endif
