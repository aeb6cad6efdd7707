/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bom.h - byte order marks: some editors put one before a text, but JSON must not have one (RFC
 * 8259, section 8.1)
 */
#ifndef OKL4FSD_UTIL_BOM_H
#define OKL4FSD_UTIL_BOM_H

#include <stddef.h>

/** bom_refusal() - Return: an error text when @text begins with a byte order mark, else NULL */
const char *bom_refusal(const char *text, size_t bytes);

#endif
