/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - "unix:PATH" or "HOST:PORT": where a server is, or where to listen
 */
#ifndef OKL4FS_SERVE_PLACE_H
#define OKL4FS_SERVE_PLACE_H

#include <netdb.h>
#include <sys/un.h>

/**
 * struct place - addresses to try in their order
 * @text: as it was given
 * @list: the addresses
 * @one, @un: storage for a unix socket's
 */
struct place {
	const char *text;
	const struct addrinfo *list;
	struct addrinfo one;
	struct sockaddr_un un;
};

/** place_parse() - @text is kept; Return: NULL, or what is wrong, as the rest of a sentence */
const char *place_parse(struct place *p, const char *text);

/**
 * place_connect() - connect to the first address that answers; waits, at most ten seconds for each
 *
 * Return: a descriptor that blocks, or a negated errno.
 */
int place_connect(const struct place *p);

/**
 * place_listen() - listen at the first address
 *
 * The file of a unix socket that nobody listens at is replaced.
 *
 * Return: a descriptor that does not block, or a negated errno.
 */
int place_listen(const struct place *p);

/** place_remove() - remove the file of a unix socket that place_listen() made */
void place_remove(const struct place *p);

#endif
