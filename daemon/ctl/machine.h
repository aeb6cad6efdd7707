/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - what connects a virtual machine to a guest of the daemon, for each kind of machine
 */
#ifndef OKL4FSD_CTL_MACHINE_H
#define OKL4FSD_CTL_MACHINE_H

#include <stdbool.h>

/**
 * struct machine - a virtual machine that is to be started
 * @guest: the name that the daemon knows it by
 * @socket: absolute path of the vhost-user socket
 * @listens: the machine listens there, and the daemon connects
 * @generic: the way in is `generic`, else `fs`
 * @memory_mib: its memory
 */
struct machine {
	const char *guest;
	const char *socket;
	bool listens;
	bool generic;
	unsigned long memory_mib;
};

/** N_MACHINE_WORDS - the most words that any program gets */
#define N_MACHINE_WORDS 10

/**
 * struct machine_words - arguments of a program, pairs of an option and its value
 * @word: strings; owned
 * @n: how many
 */
struct machine_words {
	char *word[N_MACHINE_WORDS];
	int n;
};

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

/** machine_free() - free words */
void machine_free(struct machine_words *words);

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
