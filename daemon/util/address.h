/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.h - "HOST:PORT" as it stands in a configuration
 */
#ifndef OKL4FSD_UTIL_ADDRESS_H
#define OKL4FSD_UTIL_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_HOST_MAX 253 /* of a name (RFC 1035, section 2.3.4, without the last dot) */

/**
 * struct address - where to listen, or where to connect to
 * @host: a name, an IPv4 address, or an IPv6 address without its brackets
 * @port: 1 to 65535
 * @is_numeric: @host is an address, not a name
 */
struct address {
	char host[ADDRESS_HOST_MAX + 1];
	uint16_t port;
	bool is_numeric;
};

/**
 * address_parse() - read "HOST:PORT" or "[IPV6]:PORT"
 * @address: out
 * @text: the text
 *
 * Return: NULL, or what is wrong as the rest of a sentence ("has no port, ..."); static memory.
 */
const char *address_parse(struct address *address, const char *text);

/** address_is_loopback() - whether it can only mean this machine: localhost, 127.0.0.0/8, ::1 */
bool address_is_loopback(const struct address *address);

#endif
