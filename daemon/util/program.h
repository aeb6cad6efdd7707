/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * program.h - running another program
 */
#ifndef OKL4FSD_UTIL_PROGRAM_H
#define OKL4FSD_UTIL_PROGRAM_H

/**
 * program_run() - run a program and wait for its end
 * @argv: its words; the first is looked up in PATH, and NULL follows the last
 * @out: its standard output; -1: that of this process
 * @err: its standard error; -1: that of this process
 *
 * Return: its exit status; -1 if it could not be run, or was ended by a signal.
 */
int program_run(char *const argv[], int out, int err);

#endif
