/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl.h - what the parts of okl4fsctl share
 */
#ifndef OKL4FSD_CTL_CTL_H
#define OKL4FSD_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/** CTL_MAX_KINDS - kinds of events that can be asked for */
#define CTL_MAX_KINDS 64

/** enum ctl_exit - exit statuses, part of the interface */
enum ctl_exit { CTL_DONE, CTL_REFUSED, CTL_USAGE, CTL_NO_DAEMON };

/**
 * struct ctl - how to reach the daemon, how to speak to the user, and the options of commands
 * @socket: path of the control socket; NULL: look in the usual places
 * @json: print results as JSON
 * @names: only names
 * @count: how often, or how many; NULL: not given
 * @delay: seconds; NULL: not given
 * @sort: by what; NULL: not given
 * @guest: of which guest; NULL: of all
 * @way: over which way; NULL: not given
 * @memory: MiB; NULL: not given
 * @libvirt: for libvirt, and which part; NULL: not for it
 * @cloud_hypervisor: for Cloud Hypervisor
 */
struct ctl {
	const char *socket;
	bool json, names, cloud_hypervisor;
	const char *count, *delay, *sort, *guest, *way, *memory, *libvirt;
};

/** ctl_error() - a line on stderr that begins with the program's name; what a terminal would obey is escaped */
__attribute__((format(printf, 1, 2))) void ctl_error(const char *fmt, ...);

/**
 * ctl_call() - call a method of the daemon
 * @ctl: where it is
 * @method: name
 * @params: an object, which is consumed; NULL: none
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr.
 */
enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json_object *params,
		       struct json_object **result);

/**
 * ctl_list_channels() - ask the daemon for its channels
 * @ctl: where it is
 * @guest: only of this guest; NULL: of all
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr.
 */
enum ctl_exit ctl_list_channels(const struct ctl *ctl, const char *guest,
				struct json_object **result);

/** ctl_guest_param() - parameters that name a guest; NULL: no guest, no parameters */
struct json_object *ctl_guest_param(const char *guest);

/**
 * ctl_split() - take GUEST/CHANNEL apart
 * @command: for the error
 * @name: the text
 * @guest: out: to be freed
 *
 * Return: the channel's name, in @name; NULL, with a line on stderr, when it is no such text.
 */
const char *ctl_split(const char *command, const char *name, char **guest);

/**
 * ctl_find_channel() - ask the daemon for a channel
 * @ctl: the daemon
 * @command: for errors
 * @name: GUEST/CHANNEL
 * @result: out: keeps @channel; json_object_put() it in any case
 * @channel: out: borrowed
 *
 * Return: CTL_DONE or another ctl_exit, with a line on stderr.
 */
enum ctl_exit ctl_find_channel(const struct ctl *ctl, const char *command, const char *name,
			       struct json_object **result, struct json_object **channel);

/* Readers of results; a member that is not there, or of another kind, is "", 0, false or NULL */
const char *ctl_string(struct json_object *object, const char *key);
unsigned long long ctl_number(struct json_object *object, const char *key);
bool ctl_boolean(struct json_object *object, const char *key);
struct json_object *ctl_object(struct json_object *object, const char *key);

/** ctl_list() - a member that is an array; Return: its length, 0 when it is none */
size_t ctl_list(struct json_object *object, const char *key, struct json_object **list);

/**
 * ctl_read_count() - the value of --count
 * @ctl: options
 * @command: for the error
 * @count: out: unchanged when the option was not given
 *
 * Return: CTL_DONE, or CTL_USAGE with a line on stderr.
 */
enum ctl_exit ctl_read_count(const struct ctl *ctl, const char *command, unsigned long *count);

/* Printers of results, for people */
void ctl_show_status(struct json_object *result);
void ctl_show_guests(struct json_object *result);
void ctl_show_channels(struct json_object *result);

/** ctl_show_json() - a result as JSON, on several lines */
void ctl_show_json(struct json_object *result);

/* Commands; @args end with NULL, and are as many as the command has */
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
