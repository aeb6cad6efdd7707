// SPDX-License-Identifier: BSD-3-Clause
/*
 * address.c - "HOST:PORT" as it stands in a configuration
 */
#include "util/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n = strtoul(text, NULL, 10);

	if (!digits || digits > 5 || text[digits] || text[0] == '0' || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* Return: NULL, or what is wrong */
static const char *parse_host(struct address *a, const char *text, size_t bytes, bool bracketed)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.-";
	struct in6_addr addr;

	if (!bytes)
		return "has no host before its port";
	if (bytes > ADDRESS_HOST_MAX)
		return "has a host of more than 253 bytes";
	memcpy(a->host, text, bytes);
	a->host[bytes] = 0;
	if (bracketed) {
		a->is_numeric = true;
		return inet_pton(AF_INET6, a->host, &addr) == 1 ?
			       NULL :
			       "has no IPv6 address in its brackets";
	}
	if (strchr(a->host, ':'))
		return "must have its IPv6 address in brackets, as in \"[::1]:9000\"";
	if (a->host[strspn(a->host, allowed)])
		return "must have a host of A-Z a-z 0-9 . -";
	a->is_numeric = inet_pton(AF_INET, a->host, &addr) == 1;
	return NULL;
}

const char *address_parse(struct address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *end = colon; /* of the host */
	bool bracketed = text[0] == '[';
	const char *wrong;

	memset(address, 0, sizeof(*address));
	if (!colon || (bracketed && colon[-1] != ']'))
		return "must have a port, as in \"127.0.0.1:9000\"";
	if (bracketed) {
		text++;
		end--;
	}
	wrong = parse_host(address, text, (size_t)(end - text), bracketed);
	if (wrong)
		return wrong;
	return parse_port(colon + 1, &address->port) ? NULL : "must have a port from 1 to 65535";
}

bool address_is_loopback(const struct address *address)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, address->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, address->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return !strcasecmp(address->host, "localhost");
}
