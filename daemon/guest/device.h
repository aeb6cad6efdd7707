/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - what the frontend sets up: memory and rings come and go
 */
#ifndef OKL4FSD_GUEST_DEVICE_H
#define OKL4FSD_GUEST_DEVICE_H

#include "vhost/backend.h"

struct guest;
struct guest_queue;

extern const struct vhost_device_ops guest_device_ops;

/** guest_break() - a ring is malformed: serve nothing until the driver resets the device */
void guest_break(struct guest *g, const struct guest_queue *q);

#endif
