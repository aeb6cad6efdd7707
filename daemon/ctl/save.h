/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * save.h - the running configuration is written to the daemon's configuration file
 *
 * The daemon may not write its configuration, so okl4fsctl does, with the rights of its user. What can
 * fail without a change of the daemon is tried before the change.
 */
#ifndef OKL4FSD_CTL_SAVE_H
#define OKL4FSD_CTL_SAVE_H

#include "ctl/command.h"

/**
 * struct ctl_save - a file that is to be replaced
 * @path: the file itself, without symbolic links
 * @temp: the new file beside it, until it takes the place of @path
 * @fd: of @temp; -1: there is none
 * @comments: the file has comments
 */
struct ctl_save {
	char *path, *temp;
	int fd;
	bool comments;
};

/** ctl_save_wanted - the option --save was given */
extern bool ctl_save_wanted;

/** CTL_SAVE_OPTION - that option, for a table of options */
#define CTL_SAVE_OPTION                                                            \
	{                                                                          \
		.name = "save", .flag = &ctl_save_wanted,                          \
		.help = "write what runs then to the daemon's\nconfiguration file" \
	}

/** ctl_save_option - a table with that option alone */
extern const struct ctl_option ctl_save_option[];

/**
 * ctl_save_begin() - see to it that the file can be replaced
 * @save: out
 * @ctl: the daemon
 *
 * Return: CTL_DONE, and ctl_save_end() or ctl_save_drop() follows; or another ctl_exit, with a line on
 * stderr.
 */
enum ctl_exit ctl_save_begin(struct ctl_save *save, const struct ctl *ctl);

/**
 * ctl_save_end() - replace the file by the configuration that runs now
 * @save: of ctl_save_begin()
 * @ctl: the daemon
 * @done: what errors say of a change that was made before, or ""
 *
 * Return: CTL_DONE, or another ctl_exit with a line on stderr: then the file is as it was.
 */
enum ctl_exit ctl_save_end(struct ctl_save *save, const struct ctl *ctl, const char *done);

/** ctl_save_drop() - leave the file as it is */
void ctl_save_drop(struct ctl_save *save);

#endif
