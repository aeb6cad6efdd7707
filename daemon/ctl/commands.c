// SPDX-License-Identifier: BSD-3-Clause
/*
 * commands.c - all commands, in the order of the overview
 */
#include <stddef.h>

#include "ctl/command.h"

static const struct ctl_command *const that_show[] = {
	&ctl_status,      &ctl_guests,  &ctl_channels, &ctl_channel, &ctl_top,
	&ctl_events,      &ctl_metrics, &ctl_setup,    &ctl_doctor,  &ctl_qemu_args,
	&ctl_config_show, &ctl_version, &ctl_help,     NULL,
};

static const struct ctl_command *const that_change[] = {
	&ctl_attach,         &ctl_guest_add,
	&ctl_guest_remove,   &ctl_channel_add,
	&ctl_channel_remove, &ctl_channel_reset,
	&ctl_reload,         &ctl_config_save,
	&ctl_log_level,      NULL,
};

const struct ctl_group ctl_groups[] = {
	{ "Commands that show something", that_show },
	{ "Commands that use or change something", that_change },
	{ NULL, NULL },
};
