/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eal.h - start DPDK without its huge pages, its devices, its threads and its own log
 */
#ifndef OKL4FSD_VHOST_EAL_H
#define OKL4FSD_VHOST_EAL_H

#include <signal.h>

/** vhost_eal_init() - see vhost_backend_init() */
int vhost_eal_init(void);

/**
 * vhost_eal_mask_signals() - around calls that may make a DPDK thread
 * @old: out: the mask before, to be set again
 *
 * All but those that a thread brings upon itself are blocked; a new thread inherits that.
 */
void vhost_eal_mask_signals(sigset_t *old);

#endif
