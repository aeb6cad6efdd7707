/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * call.h - one call of the daemon
 */
#ifndef OKL4FSD_CTL_CALL_H
#define OKL4FSD_CTL_CALL_H

#include "ctl/ctl.h"

struct json_object;

/**
 * ctl_call() - call a method of the daemon
 * @ctl: how to reach it
 * @method: name
 * @params: an object, which is consumed; NULL: none
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr.
 */
enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json_object *params,
		       struct json_object **result);

/**
 * ctl_change() - call a method that changes something; its result is printed only as JSON
 * @ctl: how to reach the daemon
 * @method: name
 * @params: an object, which is consumed; NULL: none
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr.
 */
enum ctl_exit ctl_change(const struct ctl *ctl, const char *method, struct json_object *params);

/**
 * ctl_list_channels() - ask the daemon for its channels
 * @ctl: how to reach it
 * @guest: only the channels of this guest; NULL: all
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr.
 */
enum ctl_exit ctl_list_channels(const struct ctl *ctl, const char *guest,
				struct json_object **result);

/**
 * ctl_find_channel() - ask the daemon for a channel
 * @ctl: the daemon
 * @command: for errors
 * @name: GUEST/CHANNEL
 * @result: out: owns @channel; json_object_put() it in any case
 * @channel: out: borrowed
 *
 * Return: CTL_DONE or another ctl_exit, with a line on stderr.
 */
enum ctl_exit ctl_find_channel(const struct ctl *ctl, const char *command, const char *name,
			       struct json_object **result, struct json_object **channel);

#endif
