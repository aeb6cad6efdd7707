// SPDX-License-Identifier: BSD-3-Clause
/*
 * qemu_args.c - `qemu-args GUEST`: what joins a virtual machine to the daemon, to be pasted
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl.h"
#include "ctl/machine.h"
#include "ctl/quote.h"
#include "util/fd.h"

#define MEMORY_MIB     512UL
#define MEMORY_MIB_MAX (1UL << 24)

/** enum target - for whom */
enum target { FOR_QEMU, FOR_CLOUD, FOR_LIBVIRT, FOR_LIBVIRT_DEVICE };

/**
 * struct request - what is asked for
 * @guest: which guest
 * @target: for whom
 * @generic: over the way `generic`
 * @memory_mib: memory of the machine
 */
struct request {
	const char *guest;
	enum target target;
	bool generic;
	unsigned long memory_mib;
};

/**
 * one_of() - look a word up
 * @option: whose value it is
 * @word: the word; NULL: the first one
 * @words: two that are meant
 * @out: out: index of it
 *
 * Return: whether it is one of them; else with a line on stderr.
 */
static bool one_of(const char *option, const char *word, const char *const words[2], int *out)
{
	for (*out = 0; *out < 2; ++*out)
		if (!word || !strcmp(word, words[*out]))
			return true;
	ctl_error("qemu-args: %s: \"%s\" is neither %s nor %s", option, word, words[0], words[1]);
	return false;
}

/**
 * read_memory() - read the value of --memory
 * @text: it
 * @out: out: MiB
 *
 * Return: whether it is a number of MiB; else with a line on stderr.
 */
static bool read_memory(const char *text, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	if (text[strspn(text, "0123456789")] == 0 && end != text && !errno && *out &&
	    *out <= MEMORY_MIB_MAX)
		return true;
	ctl_error("qemu-args: --memory: \"%s\" is no number of MiB from 1 to %lu", text,
		  MEMORY_MIB_MAX);
	return false;
}

/**
 * read_option() - read one option
 * @option: its letter
 * @out: what it changes
 *
 * Return: whether it is well; else with a line on stderr.
 */
static bool read_option(int option, struct request *out)
{
	static const char *const ways[] = { "fs", "generic" };
	static const char *const parts[] = { "domain", "filesystem" };
	int i;

	switch (option) {
	case 'w':
		if (!one_of("--way", optarg, ways, &i))
			return false;
		out->generic = i == 1;
		return true;
	case 'm':
		return read_memory(optarg, &out->memory_mib);
	case 'l':
	case 'c':
		if (out->target != FOR_QEMU) {
			ctl_error("qemu-args: --libvirt and --cloud-hypervisor: one, and once");
			return false;
		}
		if (option == 'l' && !one_of("--libvirt", optarg, parts, &i))
			return false;
		out->target = option == 'c' ? FOR_CLOUD : i ? FOR_LIBVIRT_DEVICE : FOR_LIBVIRT;
		return true;
	default:
		return false; /* getopt has said why */
	}
}

/**
 * read_args() - read the command's arguments
 * @args: them; NULL at the end
 * @out: out: what is asked for
 *
 * Return: whether they are well; else with a line on stderr.
 */
static bool read_args(char **args, struct request *out)
{
	static const struct option options[] = {
		{ "way", required_argument, NULL, 'w' },
		{ "memory", required_argument, NULL, 'm' },
		{ "libvirt", optional_argument, NULL, 'l' },
		{ "cloud-hypervisor", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	static char name[] = "okl4fsctl: qemu-args";
	char *argv[CTL_MAX_ARGS + 2] = { name };
	int argc = 1, option;

	for (; *args && argc <= CTL_MAX_ARGS; args++)
		argv[argc++] = *args;
	*out = (struct request){ .memory_mib = MEMORY_MIB };
	optind = 0; /* another command line than the one before */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!read_option(option, out))
			return false;
	if (argc - optind != 1) {
		ctl_error("qemu-args: %s; see okl4fsctl help",
			  optind == argc ? "an argument is missing" : "too many arguments");
		return false;
	}
	out->guest = argv[optind];
	if (out->generic && (out->target == FOR_LIBVIRT || out->target == FOR_LIBVIRT_DEVICE)) {
		ctl_error("qemu-args: libvirt has the way fs only");
		return false;
	}
	return true;
}

/**
 * print_words() - print arguments of a program
 * @ctl: how
 * @words: them
 *
 * Return: 0, or -ENOMEM.
 */
static int print_words(const struct ctl *ctl, const struct machine_words *words)
{
	struct json_object *object, *list;

	if (ctl->json) {
		object = json_object_new_object();
		list = json_object_new_array();
		for (int i = 0; i < words->n; i++)
			json_object_array_add(list, json_object_new_string(words->word[i]));
		json_object_object_add(object, "args", list);
		ctl_show_json(object);
		json_object_put(object);
		return 0;
	}
	for (int i = 0; i < words->n; i += 2) {
		_cleanup_free_ char *value = quote_shell(words->word[i + 1]);

		if (!value)
			return -ENOMEM;
		printf("%s %s%s\n", words->word[i], value, i + 2 < words->n ? " \\" : "");
	}
	return 0;
}

/**
 * print_xml() - print XML
 * @ctl: how
 * @key: what it is called where it is a member
 * @xml: it, consumed; NULL when there was no memory
 *
 * Return: 0, or -ENOMEM.
 */
static int print_xml(const struct ctl *ctl, const char *key, char *xml)
{
	struct json_object *object;

	if (!xml)
		return -ENOMEM;
	if (ctl->json) {
		object = json_object_new_object();
		json_object_object_add(object, key, json_object_new_string(xml));
		ctl_show_json(object);
		json_object_put(object);
	} else {
		fputs(xml, stdout);
	}
	free(xml);
	return 0;
}

/**
 * print() - print what joins a machine
 * @ctl: how
 * @target: for whom
 * @m: machine
 *
 * Return: 0, or -ENOMEM.
 */
static int print(const struct ctl *ctl, enum target target, const struct machine *m)
{
	struct machine_words words = { .n = 0 };
	int r;

	if (target == FOR_LIBVIRT)
		return print_xml(ctl, "domain", machine_domain(m));
	if (target == FOR_LIBVIRT_DEVICE)
		return print_xml(ctl, "filesystem", machine_filesystem(m));
	r = target == FOR_QEMU ? machine_qemu(m, &words) : machine_cloud(m, &words);
	if (!r)
		r = print_words(ctl, &words);
	machine_free(&words);
	return r;
}

/**
 * possible() - whether this machine can be joined in this way
 * @target: for whom
 * @m: machine
 *
 * Return: whether it is so; else with a line on stderr. What can only be joined once is warned of.
 */
static bool possible(enum target target, const struct machine *m)
{
	const char *who = target == FOR_CLOUD ? "Cloud Hypervisor" : "libvirt";

	if (m->listens && (target == FOR_CLOUD || target == FOR_LIBVIRT_DEVICE)) {
		ctl_error("%s: %s does not listen: the guest needs \"socket_mode\": \"listen\"",
			  m->guest, target == FOR_CLOUD ? who : "a <filesystem> of libvirt");
		return false;
	}
	if (target != FOR_QEMU && quote_has_control(m->socket)) {
		ctl_error("%s: %s cannot have a control character in the socket's path", m->guest,
			  who);
		return false;
	}
	if (m->generic && m->listens)
		ctl_error("%s: warning: this QEMU ends when a second daemon connects; better "
			  "\"socket_mode\": \"listen\"",
			  m->guest);
	return true;
}

enum ctl_exit ctl_qemu_args(const struct ctl *ctl, char **args)
{
	struct json_object *result, *g;
	struct request req;
	struct machine m;
	enum ctl_exit r;

	if (!read_args(args, &req))
		return CTL_USAGE;
	r = ctl_call(ctl, "guest.list", ctl_guest_param(req.guest), &result);
	if (r)
		return r;
	g = json_object_array_get_idx(ctl_object(result, "guests"), 0);
	m = (struct machine){ .guest = ctl_string(g, "name"),
			      .socket = ctl_string(g, "socket"),
			      .listens = !strcmp(ctl_string(g, "socket_mode"), "connect"),
			      .generic = req.generic,
			      .memory_mib = req.memory_mib };
	r = CTL_REFUSED;
	if (possible(req.target, &m)) {
		r = print(ctl, req.target, &m) ? CTL_REFUSED : CTL_DONE;
		if (r)
			ctl_error("out of memory");
	}
	json_object_put(result);
	return r;
}
