// SPDX-License-Identifier: BSD-3-Clause
/*
 * qemu_args.c - `qemu-args GUEST`: what joins a QEMU to the daemon
 *
 * The memory must be shared, or the daemon sees none of it, and QEMU says nothing. In `connect`
 * mode QEMU listens, and waits at its start for the daemon; a daemon that comes back later is let
 * in again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl.h"
#include "util/fd.h"

#define N_ARGS 8

/**
 * double_commas() - a path as the value of one of QEMU's suboptions
 * @path: the path
 *
 * Return: it with each comma twice, to be freed; NULL when there is no memory.
 */
static char *double_commas(const char *path)
{
	char *out = malloc(2 * strlen(path) + 1);
	char *at = out;

	if (!out)
		return NULL;
	for (; *path; path++) {
		*at++ = *path;
		if (*path == ',')
			*at++ = ',';
	}
	*at = 0;
	return out;
}

/**
 * print_quoted() - a word for a shell
 * @word: the word
 */
static void print_quoted(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%+=:,./_-";

	if (!word[strspn(word, plain)]) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){ *word, 0 }, stdout);
	putchar('\'');
}

/**
 * print_args() - print the arguments
 * @ctl: how
 * @args: pairs of an option and its value
 */
static void print_args(const struct ctl *ctl, const char *const args[N_ARGS])
{
	struct json_object *object, *list;

	if (ctl->json) {
		object = json_object_new_object();
		list = json_object_new_array();
		for (int i = 0; i < N_ARGS; i++)
			json_object_array_add(list, json_object_new_string(args[i]));
		json_object_object_add(object, "args", list);
		ctl_show_json(object);
		json_object_put(object);
		return;
	}
	for (int i = 0; i < N_ARGS; i += 2) {
		printf("%s ", args[i]);
		print_quoted(args[i + 1]);
		puts(i + 2 < N_ARGS ? " \\" : "");
	}
}

enum ctl_exit ctl_qemu_args(const struct ctl *ctl, char **args)
{
	_cleanup_free_ char *path = NULL, *chardev = NULL;
	struct json_object *result, *g;
	enum ctl_exit r = ctl_call(ctl, "guest.list", ctl_guest_param(args[0]), &result);
	const char *server;

	if (r)
		return r;
	g = json_object_array_get_idx(ctl_object(result, "guests"), 0);
	server = strcmp(ctl_string(g, "socket_mode"), "connect") ? "" : ",server=on";
	path = double_commas(ctl_string(g, "socket"));
	if (path && asprintf(&chardev, "socket,id=okl4fs,path=%s%s", path, server) < 0)
		chardev = NULL;
	json_object_put(result);
	if (!chardev) {
		ctl_error("out of memory");
		return CTL_REFUSED;
	}
	print_args(ctl, (const char *const[N_ARGS]){
				"-object", "memory-backend-memfd,id=okl4fs-mem,size=512M,share=on",
				"-machine", "memory-backend=okl4fs-mem", "-chardev", chardev,
				"-device", "vhost-user-fs-pci,chardev=okl4fs,tag=okl4fs0" });
	return CTL_DONE;
}
