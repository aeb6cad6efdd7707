/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * result.h - error lines, and the members of what the daemon returned
 */
#ifndef OKL4FSD_CTL_RESULT_H
#define OKL4FSD_CTL_RESULT_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/** ctl_error() - print a line on stderr, after the program's name and escaped as in text_safe() */
__attribute__((format(printf, 1, 2))) void ctl_error(const char *fmt, ...);

/* Readers of results; a member that is missing or has another type is "", 0, false or NULL */
const char *ctl_string(struct json_object *object, const char *key);
unsigned long long ctl_number(struct json_object *object, const char *key);
bool ctl_boolean(struct json_object *object, const char *key);
struct json_object *ctl_object(struct json_object *object, const char *key);

/** ctl_list() - a member that is an array; Return: its length; 0 when it is not an array */
size_t ctl_list(struct json_object *object, const char *key, struct json_object **list);

/** ctl_show_json() - a result as JSON, on several lines */
void ctl_show_json(struct json_object *result);

#endif
