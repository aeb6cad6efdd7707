/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store.h - descriptors that the service manager keeps for the next daemon (FDSTORE=1 in
 * sd_pid_notify_with_fds(3))
 *
 * The service manager takes note in the order in which it is told. It does not take a file that it
 * has already, whatever its name: the callers see to it that each open file is stored once.
 *
 * Without a service manager nothing is stored, and there is nothing to take.
 */
#ifndef OKL4FSD_UTIL_STORE_H
#define OKL4FSD_UTIL_STORE_H

#include <stdbool.h>
#include <stdint.h>

/** store_put() - have @fd kept under a name; any thread; @fd stays the caller's */
__attribute__((format(printf, 2, 3))) void store_put(int fd, const char *fmt, ...);

/** store_remove() - have what is kept under a name closed; any thread */
__attribute__((format(printf, 1, 2))) void store_remove(const char *fmt, ...);

/**
 * store_inherit() - a descriptor that the former daemon has stored; main, before other threads
 * @name: its name; copied
 * @fd: descriptor; it is the store's from here on
 */
void store_inherit(const char *name, int fd);

/** store_take() - the descriptor that was inherited under a name, for the caller; main; or -1 */
__attribute__((format(printf, 1, 2))) int store_take(const char *fmt, ...);

/**
 * store_take_numbered() - take a descriptor that was inherited under a name "@of.NUMBER"
 * @of: what it is of
 * @number: out
 *
 * Main. Return: the descriptor, for the caller; or -1: there is none left.
 */
int store_take_numbered(const char *of, uint32_t *number);

/**
 * store_sweep() - let go of what was inherited and not taken: connections end, with a log line
 *
 * Main, when everything that might take it is there.
 */
void store_sweep(void);

/**
 * store_share() - have a file kept that others may have stored, too: a guest's memory, of which
 * several devices have the same open file
 * @fd: the caller's
 *
 * Any thread. Return: its number, for store_unshare(); 0: no memory or descriptors.
 */
uint32_t store_share(int fd);

/** store_share_again() - one more user of what is or was shared under a number; any thread;
 * Return: its descriptor, the store's; or -1: there is none */
int store_share_again(uint32_t number);

/** store_unshare() - one user less; the last one has it removed; 0 is allowed; any thread */
void store_unshare(uint32_t number);

/** store_same_file() - whether two descriptors are of one open file; false if that is not known */
bool store_same_file(int a, int b);

#endif
