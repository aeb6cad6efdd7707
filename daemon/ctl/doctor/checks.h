/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * checks.h - what lies between a program on this host and a channel, checked step by step
 *
 * `doctor` prints the checks; `setup` shows by them which of its steps are done.
 */
#ifndef OKL4FSD_CTL_DOCTOR_CHECKS_H
#define OKL4FSD_CTL_DOCTOR_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/ctl.h"

struct json_object;

/** enum check_kind - what is checked, from the first step to the last; a name for each in checks.c */
enum check_kind {
	CHECK_GROUP, /* the caller may use the control socket */
	CHECK_DAEMON, /* the daemon answers */
	CHECK_GUEST, /* the guest is configured */
	CHECK_SOCKET, /* its vhost-user socket is there, for the program that connects to it */
	CHECK_QEMU, /* a frontend is connected */
	CHECK_MEMORY, /* it has shared the guest's memory */
	CHECK_DRIVER, /* the guest's driver has said hello */
	CHECK_OPENED, /* the guest has opened a channel */
	CHECK_ENDPOINT, /* the host's end of a channel can be used */
	N_CHECKS
};

/** enum check_state - what came of a check */
enum check_state {
	CHECK_OK,
	CHECK_FAILED,
	CHECK_UNKNOWN,
	CHECK_NOT_YET /* an earlier step has not been made */
};

/**
 * struct check - a check
 * @kind: what
 * @guest: about this guest; NULL: about the host; owned
 * @channel: about this channel of it; NULL: about the guest; owned
 * @state: what came of it
 * @detail: a sentence for people; owned
 * @way_out: what to do, one step per line; NULL: nothing; owned
 */
struct check {
	enum check_kind kind;
	char *guest, *channel;
	enum check_state state;
	char *detail, *way_out;
};

/**
 * struct checks - a list of them
 * @list: they; owned
 * @n: how many
 * @guest: what the next ones are about; borrowed
 * @channel: likewise
 * @broken: the kind of the first one that failed, for those that depend on it; N_CHECKS: none
 */
struct checks {
	struct check *list;
	size_t n;
	const char *guest, *channel;
	enum check_kind broken;
};

/** check_name() - "daemon" */
const char *check_name(enum check_kind kind);

/**
 * check_add() - add a check
 * @checks: list
 * @kind: what was checked
 * @state: what came of it
 * @way_out: a new string, or NULL; consumed
 * @fmt: sentence
 */
__attribute__((format(printf, 5, 6))) void check_add(struct checks *checks, enum check_kind kind,
						     enum check_state state, char *way_out,
						     const char *fmt, ...);

/** check_text() - a new string; without memory it ends the program */
__attribute__((format(printf, 1, 2))) char *check_text(const char *fmt, ...);

/**
 * check_not_yet() - add a check of which the answer is open as long as an earlier one fails
 *
 * Return: whether one has failed; otherwise nothing was added.
 */
bool check_not_yet(struct checks *checks, enum check_kind kind);

/** check_find() - the first check of a kind; NULL: there is none */
const struct check *check_find(const struct checks *checks, enum check_kind kind);

/** checks_free() - free the list */
void checks_free(struct checks *checks);

/** checks_print() - a line per check, and the ways out */
void checks_print(const struct checks *checks);

/** checks_json() - as JSON */
struct json_object *checks_json(const struct checks *checks);

/** checks_failed() - whether one has failed */
bool checks_failed(const struct checks *checks);

/** enum check_for - for which program a guest's socket is checked */
enum check_for { CHECK_FOR_ANY, CHECK_FOR_CALLER, CHECK_FOR_LIBVIRT };

/**
 * struct findings - the checks, and what the daemon said
 * @checks: list
 * @config: path of the configuration; owned
 * @sudo: what a command for root begins with: "sudo ", or nothing where the caller is root
 * @ctl: how to call okl4fsctl for this daemon; owned
 * @guests: what guest.list returned; NULL: nothing; owned
 * @channels: what channel.list returned; NULL: nothing; owned
 */
struct findings {
	struct checks checks;
	char *config;
	const char *sudo;
	char *ctl;
	struct json_object *guests, *channels;
};

/**
 * find_out() - check everything
 * @f: out; findings_free() it
 * @ctl: how to reach the daemon
 * @guest: only this guest; NULL: all
 * @whose: for which program
 */
void find_out(struct findings *f, const struct ctl *ctl, const char *guest, enum check_for whose);

/** findings_free() - free what was found */
void findings_free(struct findings *f);

/** findings_guest() - a guest by name; NULL: there is none */
struct json_object *findings_guest(const struct findings *f, const char *name);

/** check_host() - the first two checks, and the lists of guests and channels; Return: the daemon answers */
bool check_host(struct findings *f, const struct ctl *ctl, const char *guest);

/** check_guest() - the checks of a guest and its channels */
void check_guest(struct findings *f, struct json_object *guest, enum check_for whose);

#endif
