/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp.h - what tcp-listen and tcp-connect have in common
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_TCP_H
#define OKL4FSD_ENDPOINT_STREAM_TCP_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#define TCP_NAME_BYTES 64 /* of "[IPV6]:PORT" */

/** tcp_name() - a socket address as text: "127.0.0.1:9000", "[::1]:9000" */
void tcp_name(const struct sockaddr *addr, socklen_t bytes, char name[TCP_NAME_BYTES]);

/** tcp_peer_name() - likewise, of the other end of a connection */
void tcp_peer_name(int fd, char name[TCP_NAME_BYTES]);

/** tcp_is_loopback() - whether an address can only be this machine */
bool tcp_is_loopback(const struct sockaddr *addr);

/**
 * tcp_tune() - set up a connection: small pieces go at once, and while nothing is to be sent, a peer
 * whose machine has gone is noticed after @timeout_s seconds, at least 4
 */
void tcp_tune(int fd, unsigned int timeout_s);

/**
 * tcp_look() - whether the peer's machine has gone, while something is to be sent
 * @fd: connection
 * @timeout_s: how long it may answer nothing
 *
 * TCP itself sends again for a quarter of an hour, and TCP_USER_TIMEOUT (tcp(7)) would also end the
 * connection to a peer that only reads nothing for so long.
 *
 * Return: when to look again, in milliseconds; 0: it has gone; -1: nothing is to be sent, or the
 * connection has failed, which the kernel tells.
 */
int tcp_look(int fd, unsigned int timeout_s);

/** tcp_listen_at() - a listening, non-blocking socket; Return: it or -errno */
int tcp_listen_at(const struct addrinfo *at);

/** tcp_connect_to() - begin to connect, non-blocking; Return: the socket or -errno */
int tcp_connect_to(const struct addrinfo *to);

#endif
