/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.h - the control queue's requests
 */
#ifndef OKL4FSD_GUEST_CONTROL_H
#define OKL4FSD_GUEST_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct guest_queue;

/** guest_control_turn() - serve a bounded number of requests; Return: more may be there */
bool guest_control_turn(struct guest_queue *q);

/**
 * guest_host_instance() - host_instance in HELLO replies: random, one per process, not zero; any
 * thread
 */
uint64_t guest_host_instance(void);

#endif
