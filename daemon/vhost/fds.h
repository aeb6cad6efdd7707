/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fds.h - what can be said of the descriptors that came with a message
 */
#ifndef OKL4FSD_VHOST_FDS_H
#define OKL4FSD_VHOST_FDS_H

#include "vhost/message.h"

/**
 * vhost_fds_look() - find out about descriptors of a stranger, for vhost_judge()
 * @msg: message
 * @fd: what came with it
 * @n: how many
 * @facts: out
 *
 * An eventfd is made not to block, which its other holders see.
 */
void vhost_fds_look(const struct vhost_message *msg, const int *fd, unsigned int n,
		    struct vhost_fd facts[VHOST_MAX_FDS]);

/** vhost_fds_map() - try what SET_MEM_TABLE asks for; Return: NULL, or what is wrong */
const char *vhost_fds_map(const struct vhost_message *msg, const int *fd, unsigned int n);

#endif
