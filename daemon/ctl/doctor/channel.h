/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - the checks of one channel
 */
#ifndef OKL4FSD_CTL_DOCTOR_CHANNEL_H
#define OKL4FSD_CTL_DOCTOR_CHANNEL_H

#include "ctl/doctor/checks.h"

/** check_channel() - whether the guest has opened a channel, and whether its host end can be used */
void check_channel(struct findings *f, struct json_object *channel);

#endif
