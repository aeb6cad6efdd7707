/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl.h - the options and the commands of okl4fsctl
 */
#ifndef OKL4FSD_CTL_CTL_H
#define OKL4FSD_CTL_CTL_H

#include <stdbool.h>

/** CTL_MAX_KINDS - the most kinds of events that one command can name */
#define CTL_MAX_KINDS 64

/** enum ctl_exit - exit statuses, part of the interface */
enum ctl_exit { CTL_DONE, CTL_REFUSED, CTL_USAGE, CTL_NO_DAEMON };

/**
 * struct ctl - how to reach the daemon, how to speak to the user, and the options of commands
 * @socket: path of the control socket; NULL: look in the usual places
 * @json: print results as JSON
 * @names: print only names
 * @count: of updates or events; NULL: not given
 * @delay: seconds; NULL: not given
 * @sort: the order; NULL: not given
 * @guest: only this guest; NULL: all
 * @way: the way in; NULL: not given
 * @memory: MiB; NULL: not given
 * @libvirt: for libvirt, and which part; NULL: not for it
 * @cloud_hypervisor: for Cloud Hypervisor
 */
struct ctl {
	const char *socket;
	bool json, names, cloud_hypervisor;
	const char *count, *delay, *sort, *guest, *way, *memory, *libvirt;
};

/* Commands; @args ends with NULL, and main.c has checked how many there are */
enum ctl_exit ctl_status(const struct ctl *ctl, char **args);
enum ctl_exit ctl_guests(const struct ctl *ctl, char **args);
enum ctl_exit ctl_channels(const struct ctl *ctl, char **args);
enum ctl_exit ctl_channel(const struct ctl *ctl, char **args);
enum ctl_exit ctl_top(const struct ctl *ctl, char **args);
enum ctl_exit ctl_events(const struct ctl *ctl, char **args);
enum ctl_exit ctl_metrics(const struct ctl *ctl, char **args);
enum ctl_exit ctl_version(const struct ctl *ctl, char **args);
enum ctl_exit ctl_qemu_args(const struct ctl *ctl, char **args);
enum ctl_exit ctl_attach(const struct ctl *ctl, char **args);
enum ctl_exit ctl_guest_add(const struct ctl *ctl, char **args);
enum ctl_exit ctl_guest_remove(const struct ctl *ctl, char **args);
enum ctl_exit ctl_channel_add(const struct ctl *ctl, char **args);
enum ctl_exit ctl_channel_remove(const struct ctl *ctl, char **args);
enum ctl_exit ctl_channel_reset(const struct ctl *ctl, char **args);
enum ctl_exit ctl_reload(const struct ctl *ctl, char **args);
enum ctl_exit ctl_log_level(const struct ctl *ctl, char **args);

#endif
