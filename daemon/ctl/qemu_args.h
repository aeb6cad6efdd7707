/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qemu_args.h - for which program a virtual machine is described; options of `qemu-args` and `setup`
 */
#ifndef OKL4FSD_CTL_QEMU_ARGS_H
#define OKL4FSD_CTL_QEMU_ARGS_H

#include "ctl/command.h"
#include "ctl/machine.h"

/** enum ctl_target - for which program */
enum ctl_target { FOR_QEMU, FOR_CLOUD, FOR_LIBVIRT, FOR_LIBVIRT_DEVICE };

/** ctl_target_options - --way, --memory, --libvirt and --cloud-hypervisor */
extern const struct ctl_option ctl_target_options[];

/**
 * ctl_read_target() - the values of these options
 * @command: for errors
 * @target: out
 * @m: out: its way and its memory
 *
 * Return: false, with a line on stderr, when they do not fit.
 */
bool ctl_read_target(const char *command, enum ctl_target *target, struct machine *m);

/** ctl_target_is_possible() - whether a program can have such a machine; lines on stderr */
bool ctl_target_is_possible(enum ctl_target target, const struct machine *m);

/** ctl_target_text() - what to paste; a new string; NULL: out of memory */
char *ctl_target_text(enum ctl_target target, const struct machine *m);

#endif
