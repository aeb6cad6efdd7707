/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evil.h - the kinds of hostility (evil_*.c) and what they share
 */
#ifndef OKL4TEST_EVIL_H
#define OKL4TEST_EVIL_H

#include "evildev.h"

/**
 * struct evil_entry - a kind
 * @name: what it is called
 * @run: does it to a fresh device; ends the program if the host does not answer as it must
 */
struct evil_entry {
	const char *name;
	void (*run)(struct evil_dev *dev);
};

/* A kind, which the linker gathers with those of other files */
#define EVIL(name_)                                                       \
	static void name_(struct evil_dev *dev);                          \
	static const struct evil_entry entry_##name_ = { #name_, name_ }; \
	static const struct evil_entry *const at_##name_                  \
		__attribute__((used, section("evil"))) = &entry_##name_;  \
	static void name_(struct evil_dev *dev)

/** evil_refused() - the status is the wanted one, or the program fails */
void evil_refused(int status, enum okl4_status wanted);

/** evil_channel_fails() - ring, wait for CHANNEL_FAILED with this status, and print it */
void evil_channel_fails(struct evil_dev *dev, enum okl4_status wanted);

#endif
