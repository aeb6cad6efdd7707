/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - what connects a virtual machine to a guest of the daemon, for each kind of machine
 */
#ifndef OKL4FSD_CTL_MACHINE_H
#define OKL4FSD_CTL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/machine_words.h"

/**
 * struct machine - a virtual machine that is to be started
 * @guest: the name that the daemon knows it by
 * @socket: absolute path of the vhost-user socket
 * @listens: the machine listens there, and the daemon connects
 * @generic: the way in is `generic`, else `fs`
 * @serial: the way in is a virtio-serial port for each channel; @socket is where their paths begin
 * @port: the channels' names; owned
 * @n_ports: how many
 * @memory_mib: its memory
 */
struct machine {
	const char *guest;
	const char *socket;
	bool listens;
	bool generic;
	bool serial;
	char **port;
	size_t n_ports;
	unsigned long memory_mib;
};

struct json_object;

/**
 * machine_of_guest() - what the daemon says of a guest
 * @m: its way and memory are there already; machine_deinit() it
 * @guest: of guest.list; NULL: there is none; outlives @m
 * @channels: a list of channels, also of other guests; NULL: none
 */
void machine_of_guest(struct machine *m, struct json_object *guest, struct json_object *channels);

/** machine_deinit() - free what is owned */
void machine_deinit(struct machine *m);

/** ports_qemu() - machine_qemu() of a serial one */
int ports_qemu(const struct machine *m, struct machine_words *out);

/** ports_xml() - its devices in a domain; Return: a new string; NULL: out of memory */
char *ports_xml(const struct machine *m);

/**
 * machine_qemu() - arguments of QEMU
 * @m: machine
 * @out: empty; machine_free() it in any case
 *
 * Return: 0, or -ENOMEM.
 */
int machine_qemu(const struct machine *m, struct machine_words *out);

/** machine_cloud() - arguments of Cloud Hypervisor, which never listens; else as machine_qemu() */
int machine_cloud(const struct machine *m, struct machine_words *out);

/**
 * machine_domain() - a whole domain of libvirt
 * @m: machine; its way is `fs`, and its socket's path has no control character
 *
 * Return: XML, a new string; NULL: out of memory.
 */
char *machine_domain(const struct machine *m);

/** machine_filesystem() - the device in it alone, for virsh attach-device; @m does not listen */
char *machine_filesystem(const struct machine *m);

#endif
