/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * accept.h - what librte_vhost listens on rests while descriptors have run out
 *
 * Its thread looks again at once when accept(2) has failed. All of this is for that thread.
 */
#ifndef OKL4FSD_VHOST_ACCEPT_H
#define OKL4FSD_VHOST_ACCEPT_H

#include <poll.h>

/**
 * vhost_accept_rest() - before poll(2): leave out the sockets that rest
 * @fds: set; what rests becomes -1
 * @n_fds: entries
 *
 * Return: milliseconds until they are to be looked at again; -1: none rests.
 */
int vhost_accept_rest(struct pollfd *fds, nfds_t n_fds);

#endif
