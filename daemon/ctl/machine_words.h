/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine_words.h - arguments of the program that runs a virtual machine
 */
#ifndef OKL4FSD_CTL_MACHINE_WORDS_H
#define OKL4FSD_CTL_MACHINE_WORDS_H

/**
 * struct machine_words - arguments of a program, pairs of an option and its value
 * @word: strings; owned
 * @n: how many
 */
struct machine_words {
	char **word;
	int n;
};

/** machine_add_option() - one more pair of words; Return: 0, or -ENOMEM */
__attribute__((format(printf, 3, 4))) int
machine_add_option(struct machine_words *words, const char *option, const char *fmt, ...);

/** machine_free() - free words */
void machine_free(struct machine_words *words);

#endif
