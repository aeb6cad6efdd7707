/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl.h - what every command of okl4fsctl gets, and the commands
 */
#ifndef OKL4FSD_CTL_CTL_H
#define OKL4FSD_CTL_CTL_H

#include <stdbool.h>

/** CTL_MAX_KINDS - the most kinds of events that one command can name */
#define CTL_MAX_KINDS 64

/** enum ctl_exit - exit statuses, part of the interface */
enum ctl_exit { CTL_DONE, CTL_REFUSED, CTL_USAGE, CTL_NO_DAEMON };

/**
 * struct ctl - how to reach the daemon, and how to speak to the user
 * @socket: path of the control socket; NULL: look in the usual places
 * @json: print results as JSON
 *
 * The options of a command are variables beside its code.
 */
struct ctl {
	const char *socket;
	bool json;
};

/* The commands; command.h says how one is described, and main.c lists them */
extern const struct ctl_command ctl_status, ctl_guests, ctl_channels, ctl_channel, ctl_top,
	ctl_events, ctl_metrics, ctl_setup, ctl_doctor, ctl_version, ctl_qemu_args, ctl_attach,
	ctl_guest_add, ctl_guest_remove, ctl_channel_add, ctl_channel_remove, ctl_channel_reset,
	ctl_reload, ctl_log_level, ctl_config_show, ctl_config_save;

#endif
