// SPDX-License-Identifier: BSD-3-Clause
/*
 * value.c - single values of a configuration: which kinds and ranges they may have
 */
#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <libfs/abi.h>

#include "util/account.h"
#include "util/address.h"

/* What fits sun_path with its NUL (unix(7)) */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

bool conf_is_kind(struct conf_reader *r, const struct conf_node *node, enum conf_kind kind)
{
	if (node && node->kind != kind)
		conf_error(r->errors, node, "must be %s, not %s", conf_kind_name(kind),
			   conf_kind_name(node->kind));
	return node && node->kind == kind;
}

struct conf_node *conf_required(struct conf_reader *r, struct conf_node *object, const char *key)
{
	struct conf_node *node = conf_member(object, key);

	if (!node)
		conf_error(r->errors, object, "\"%s\" is missing", key);
	return node;
}

void conf_refuse_unused(struct conf_reader *r, const struct conf_node *object)
{
	const struct conf_node *node;

	for (node = object->first; node; node = node->next)
		if (!node->used)
			conf_key_error(r->errors, node, "unknown key");
}

bool conf_read_string(struct conf_reader *r, const struct conf_node *node, char **out)
{
	if (!conf_is_kind(r, node, CONF_STRING))
		return false;
	if (!node->text_bytes) {
		conf_error(r->errors, node, "must not be empty");
		return false;
	}
	free(*out);
	*out = strdup(node->text);
	if (!*out)
		r->no_memory = true;
	return *out;
}

/* Completes the path that begins after @skip bytes of a string */
static void complete_path(struct conf_reader *r, struct conf_node *node, size_t skip)
{
	char *full;
	int n;

	if (!r->dir || !node || node->kind != CONF_STRING || node->text_bytes <= skip ||
	    node->text[skip] == '/')
		return;
	n = asprintf(&full, "%.*s%s/%s", (int)skip, node->text, r->dir, node->text + skip);
	if (n < 0) {
		r->no_memory = true;
		return;
	}
	free(node->text);
	node->text = full;
	node->text_bytes = (size_t)n;
}

void conf_read_path(struct conf_reader *r, struct conf_node *node, char **out)
{
	complete_path(r, node, 0);
	conf_read_string(r, node, out);
}

void conf_read_socket_path(struct conf_reader *r, struct conf_node *node, char **out)
{
	complete_path(r, node, 0);
	if (conf_read_string(r, node, out) && node->text_bytes > SOCKET_PATH_MAX)
		conf_error(r->errors, node, "the path of a socket has at most %zu bytes, not %zu",
			   SOCKET_PATH_MAX, node->text_bytes);
}

/* @status: of the look-up, 0 or a negated errno */
static void report_unknown(struct conf_reader *r, const struct conf_node *node, const char *kind,
			   int status)
{
	char quoted[64];

	conf_quote(node->text, quoted, sizeof(quoted));
	if (status == -ESRCH)
		conf_error(r->errors, node, "there is no %s %s", kind, quoted);
	else if (status)
		conf_error(r->errors, node, "the %s %s cannot be looked up: %s", kind, quoted,
			   strerror(-status));
}

bool conf_read_user(struct conf_reader *r, const struct conf_node *node, char **out)
{
	uid_t uid;

	if (!conf_read_string(r, node, out))
		return false;
	report_unknown(r, node, "user", account_uid(node->text, &uid));
	return true;
}

bool conf_read_group(struct conf_reader *r, const struct conf_node *node, char **out)
{
	gid_t gid;

	if (!conf_read_string(r, node, out))
		return false;
	report_unknown(r, node, "group", account_gid(node->text, &gid));
	return true;
}

void conf_read_mode(struct conf_reader *r, const struct conf_node *node, unsigned int *out)
{
	char quoted[64];

	if (!conf_is_kind(r, node, CONF_STRING))
		return;
	if (node->text_bytes != 4 || node->text[0] != '0' || strspn(node->text, "01234567") != 4) {
		conf_error(r->errors, node,
			   "must be octal permission bits such as \"0660\", not %s",
			   conf_quote(node->text, quoted, sizeof(quoted)));
		return;
	}
	*out = (unsigned int)strtoul(node->text, NULL, 8);
}

void conf_read_boolean(struct conf_reader *r, const struct conf_node *node, bool *out)
{
	if (conf_is_kind(r, node, CONF_BOOLEAN))
		*out = node->boolean;
}

bool conf_read_word(struct conf_reader *r, const struct conf_node *node, const char *const words[],
		    size_t n_words, unsigned int *out)
{
	char list[192] = "", quoted[64];
	size_t at = 0;

	if (!conf_is_kind(r, node, CONF_STRING))
		return false;
	for (size_t i = 0; i < n_words; i++) {
		if (!strcmp(node->text, words[i])) {
			*out = (unsigned int)i;
			return true;
		}
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%s\"", i ? ", " : "",
				       words[i]);
	}
	conf_error(r->errors, node, "must be one of %s, not %s", list,
		   conf_quote(node->text, quoted, sizeof(quoted)));
	return false;
}

void conf_read_number(struct conf_reader *r, const struct conf_node *node, uint64_t min,
		      uint64_t max, uint64_t *out)
{
	if (!conf_is_kind(r, node, CONF_NUMBER))
		return;
	if (!node->is_integer || node->integer < 0 || (uint64_t)node->integer < min ||
	    (uint64_t)node->integer > max)
		conf_error(r->errors, node,
			   "must be a whole number from %" PRIu64 " to %" PRIu64 ", not %.40s", min,
			   max, node->text);
	else
		*out = (uint64_t)node->integer;
}

void conf_read_u32(struct conf_reader *r, const struct conf_node *node, uint32_t min, uint32_t max,
		   uint32_t *out)
{
	uint64_t number = *out;

	conf_read_number(r, node, min, max, &number);
	*out = (uint32_t)number;
}

void conf_read_id(struct conf_reader *r, const struct conf_node *node, uint32_t *out)
{
	conf_read_u32(r, node, 0, UINT32_MAX - 1, out);
}

void conf_read_guest_name(struct conf_reader *r, const struct conf_node *node, char **out)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	char quoted[96];

	if (!conf_read_string(r, node, out))
		return;
	if (node->text_bytes > OKL4FS_NAME_MAX || node->text[strspn(node->text, allowed)])
		conf_error(r->errors, node, "must be 1 to %d of A-Z a-z 0-9 . _ -, not %s",
			   OKL4FS_NAME_MAX, conf_quote(node->text, quoted, sizeof(quoted)));
}

void conf_read_channel_name(struct conf_reader *r, const struct conf_node *node, char **out)
{
	char quoted[96];

	if (!conf_read_string(r, node, out))
		return;
	if (node->text_bytes > OKL4FS_NAME_MAX || strchr(node->text, '/') ||
	    !strcmp(node->text, ".") || !strcmp(node->text, ".."))
		conf_error(r->errors, node,
			   "must be 1 to %d bytes without '/', and not \".\" or \"..\", not %s",
			   OKL4FS_NAME_MAX, conf_quote(node->text, quoted, sizeof(quoted)));
}

void conf_read_address(struct conf_reader *r, const struct conf_node *node, const char *abroad,
		       char **out)
{
	struct address address;
	const char *wrong;
	char quoted[96];

	if (!conf_read_string(r, node, out))
		return;
	wrong = address_parse(&address, node->text);
	if (!wrong && abroad && !address_is_loopback(&address))
		wrong = abroad;
	if (wrong)
		conf_error(r->errors, node, "%s %s", conf_quote(node->text, quoted, sizeof(quoted)),
			   wrong);
}

void conf_read_unix_url(struct conf_reader *r, struct conf_node *node, char **out)
{
	size_t bytes;

	complete_path(r, node, strlen("unix:"));
	bytes = node->text_bytes - strlen("unix:");
	if (!conf_read_string(r, node, out))
		return;
	if (!bytes || bytes > SOCKET_PATH_MAX)
		conf_error(r->errors, node, "the path of a socket has 1 to %zu bytes, not %zu",
			   SOCKET_PATH_MAX, bytes);
}
