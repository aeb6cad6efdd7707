/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - which worker a guest belongs to
 */
#ifndef OKL4FSD_SERVER_PLACE_H
#define OKL4FSD_SERVER_PLACE_H

#include "server/members.h"

/**
 * server_groups() - which guests of a configuration are joined, directly or through other guests
 * @guest: guests
 * @n: how many
 * @group: out: for each guest, the index of the first guest of its group
 *
 * Return: 0 or -ENOMEM.
 */
int server_groups(const struct guest_config *guest, size_t n, size_t *group);

/**
 * server_place() - the worker for a guest of a configuration that is to be started
 * @s: server with workers
 * @list: a member for each guest of the configuration; without a guest where it does not run
 * @n: how many
 * @group: of server_groups()
 * @idx: which guest
 *
 * Return: index of the worker: that of its group, or the least busy one.
 */
unsigned int server_place(const struct server *s, const struct member *list, size_t n,
			  const size_t *group, size_t idx);

/**
 * server_check_groups() - whether those guests of each group that run share a worker
 * @list: as of server_place()
 * @n: how many
 * @group: of server_groups()
 * @why: out, for -EXDEV: a sentence with the way out
 * @why_bytes: room for it, with its NUL
 *
 * Return: 0 or -EXDEV.
 */
int server_check_groups(const struct member *list, size_t n, const size_t *group, char *why,
			size_t why_bytes);

/**
 * server_place_new() - the worker for a guest that is to be added
 * @s: server
 * @cfg: the guest
 * @worker: out
 * @why: out, for -EXDEV: a sentence with the way out
 * @why_bytes: room for it, with its NUL
 *
 * Return: 0, or -EXDEV: guests that it is to be joined to have different workers.
 */
int server_place_new(struct server *s, const struct guest_config *cfg, unsigned int *worker,
		     char *why, size_t why_bytes);

/**
 * server_place_channel() - whether a channel may be added where its guest is
 * @s: server
 * @guest: guest of it
 * @cfg: the channel
 * @why: out, for -EXDEV: a sentence with the way out
 * @why_bytes: room for it, with its NUL
 *
 * Return: 0, or -EXDEV: it would join two guests of different workers.
 */
int server_place_channel(const struct server *s, const struct guest *guest,
			 const struct channel_config *cfg, char *why, size_t why_bytes);

#endif
