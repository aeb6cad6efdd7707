/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * try_running.h - what processes that run hold (private to server/try)
 */
#ifndef OKL4FSD_SERVER_TRY_RUNNING_H
#define OKL4FSD_SERVER_TRY_RUNNING_H

#include <stdint.h>

/** try_lock_holder() - the process that holds the lock of a listening socket's path; 0: none, -1: not known */
int try_lock_holder(const char *path);

/** try_port_holder() - whether process @pid listens at a TCP port; 1: it does, 0: not, -1: not known */
int try_port_holder(int pid, uint16_t port);

#endif
