/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quote.h - any text as one word of another language
 *
 * Each function returns a new string; NULL: out of memory.
 */
#ifndef OKL4FSD_CTL_QUOTE_H
#define OKL4FSD_CTL_QUOTE_H

#include <stdbool.h>

/** quote_shell() - @text as a word of a POSIX shell: as it is, or between '' */
char *quote_shell(const char *text);

/** quote_qemu() - @text as the value of a suboption of QEMU: each comma twice */
char *quote_qemu(const char *text);

/**
 * quote_cloud() - @text as the value of a suboption of Cloud Hypervisor: as it is, or between ""
 * with each " twice, which old versions do not know
 */
char *quote_cloud(const char *text);

/** quote_xml() - @text, which has no control character, as an attribute's value between '' */
char *quote_xml(const char *text);

/** quote_has_control() - whether @text holds a control character, which XML cannot hold */
bool quote_has_control(const char *text);

#endif
