// SPDX-License-Identifier: BSD-3-Clause
/*
 * qemu_args.c - `qemu-args GUEST`: what connects a virtual machine to the daemon, ready to paste
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/machine.h"
#include "ctl/qemu_args.h"
#include "ctl/quote.h"
#include "ctl/result.h"
#include "util/fd.h"

#define MIB            (1ULL << 20)
#define MEMORY_MIB     512UL
#define MEMORY_MIB_MAX (1UL << 24)

static const char *way_text, *memory_text, *libvirt_text;
static bool for_cloud;

const struct ctl_option ctl_target_options[] = {
	{ .name = "way",
	  .value = "WAY",
	  .text = &way_text,
	  .help = "the device that carries the channels:\nfs (the default) or generic" },
	{ .name = "memory",
	  .value = "SIZE",
	  .text = &memory_text,
	  .help = "memory of the guest, such as 2G; a bare number\nis in MiB; 512M by default" },
	{ .name = "libvirt",
	  .value = "PART",
	  .optional = true,
	  .text = &libvirt_text,
	  .help = "as a libvirt domain;\n--libvirt=filesystem: only its device" },
	{ .name = "cloud-hypervisor",
	  .flag = &for_cloud,
	  .help = "as arguments of Cloud Hypervisor" },
	{ .name = NULL },
};

static bool one_of(const char *command, const char *option, const char *word,
		   const char *const words[2], int *out)
{
	for (*out = 0; *out < 2; ++*out)
		if (!word || !strcmp(word, words[*out]))
			return true;
	ctl_error("%s: %s: \"%s\" is neither %s nor %s", command, option, word, words[0], words[1]);
	return false;
}

static bool read_memory(const char *command, const char *text, unsigned long *mib)
{
	unsigned long long bytes;

	*mib = MEMORY_MIB;
	if (!text)
		return true;
	if (ctl_read_size(text, MIB, &bytes) && bytes && bytes % MIB == 0 &&
	    bytes / MIB <= MEMORY_MIB_MAX) {
		*mib = (unsigned long)(bytes / MIB);
		return true;
	}
	ctl_error("%s: --memory: \"%s\" is neither a size such as 512M or 2G nor a number of "
		  "MiB from 1 to %lu",
		  command, text, MEMORY_MIB_MAX);
	return false;
}

bool ctl_read_target(const char *command, enum ctl_target *target, struct machine *m)
{
	static const char *const ways[] = { "fs", "generic" };
	static const char *const parts[] = { "domain", "filesystem" };
	int way, part;

	if (!one_of(command, "--way", way_text, ways, &way) ||
	    !one_of(command, "--libvirt", libvirt_text && *libvirt_text ? libvirt_text : NULL,
		    parts, &part) ||
	    !read_memory(command, memory_text, &m->memory_mib))
		return false;
	m->generic = way == 1;
	*target = for_cloud ? FOR_CLOUD : FOR_QEMU;
	if (!libvirt_text)
		return true;
	*target = part ? FOR_LIBVIRT_DEVICE : FOR_LIBVIRT;
	if (for_cloud)
		ctl_error("%s: --libvirt or --cloud-hypervisor, not both", command);
	else if (m->generic)
		ctl_error("%s: libvirt supports only the way fs", command);
	return !for_cloud && !m->generic;
}

static char *text_of_words(const struct machine_words *words)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	for (int i = 0; out && i < words->n; i += 2) {
		_cleanup_free_ char *value = quote_shell(words->word[i + 1]);

		if (!value) {
			fclose(out);
			free(text);
			return NULL;
		}
		fprintf(out, "%s %s%s\n", words->word[i], value, i + 2 < words->n ? " \\" : "");
	}
	if (out)
		fclose(out);
	return text;
}

static int make_words(enum ctl_target target, const struct machine *m, struct machine_words *words)
{
	return target == FOR_QEMU ? machine_qemu(m, words) : machine_cloud(m, words);
}

char *ctl_target_text(enum ctl_target target, const struct machine *m)
{
	struct machine_words words = { .n = 0 };
	char *text = NULL;

	if (target == FOR_LIBVIRT)
		return machine_domain(m);
	if (target == FOR_LIBVIRT_DEVICE)
		return machine_filesystem(m);
	if (!make_words(target, m, &words))
		text = text_of_words(&words);
	machine_free(&words);
	return text;
}

static int show_words(enum ctl_target target, const struct machine *m)
{
	struct machine_words words = { .n = 0 };
	struct json_object *object, *list;
	int r = make_words(target, m, &words);

	object = json_object_new_object();
	list = json_object_new_array();
	for (int i = 0; i < words.n; i++)
		json_object_array_add(list, json_object_new_string(words.word[i]));
	json_object_object_add(object, "args", list);
	if (!r)
		ctl_show_json(object);
	json_object_put(object);
	machine_free(&words);
	return r;
}

static int print_machine(const struct ctl *ctl, enum ctl_target target, const struct machine *m)
{
	_cleanup_free_ char *text = NULL;
	struct json_object *object;

	if (ctl->json && (target == FOR_QEMU || target == FOR_CLOUD))
		return show_words(target, m);
	text = ctl_target_text(target, m);
	if (!text)
		return -ENOMEM;
	if (!ctl->json) {
		fputs(text, stdout);
		return 0;
	}
	object = json_object_new_object();
	json_object_object_add(object, target == FOR_LIBVIRT ? "domain" : "filesystem",
			       json_object_new_string(text));
	ctl_show_json(object);
	json_object_put(object);
	return 0;
}

/* In a folder with the setgid bit QEMU's socket gets the folder's group; its mode is up to QEMU */
static void tell_umask(const struct machine *m)
{
	const char *slash = strrchr(m->socket, '/');
	_cleanup_free_ char *dir = slash ? strndup(m->socket, (size_t)(slash - m->socket) + 1) :
					   NULL;
	const struct group *group;
	struct stat st;

	if (!dir || stat(dir, &st) || !(st.st_mode & S_ISGID))
		return;
	group = getgrgid(st.st_gid);
	if (group)
		ctl_error(
			"%s: start QEMU with umask 007, as a member of the group %s, so that okl4fsd "
			"can connect",
			m->guest, group->gr_name);
}

static bool are_ports_possible(enum ctl_target target, const struct machine *m)
{
	bool odd = quote_has_control(m->socket);

	for (size_t i = 0; i < m->n_ports; i++)
		odd |= m->port[i] && quote_has_control(m->port[i]);
	if (target == FOR_CLOUD)
		ctl_error("%s: Cloud Hypervisor has no virtio-serial ports", m->guest);
	else if (m->generic)
		ctl_error("%s: --way is not for a guest with \"way\": \"serial\"", m->guest);
	else if (target == FOR_LIBVIRT_DEVICE)
		ctl_error(
			"%s: a guest with \"way\": \"serial\" has no file system; --libvirt alone "
			"prints its channels",
			m->guest);
	else if (!m->n_ports)
		ctl_error("%s: it has no channels, so there is no port", m->guest);
	else if (odd && target == FOR_LIBVIRT)
		ctl_error("%s: libvirt cannot have a control character in a port's path or name",
			  m->guest);
	else
		return true;
	return false;
}

static void tell_of_ports(enum ctl_target target, const struct machine *m)
{
	if (target == FOR_QEMU && m->listens)
		tell_umask(m);
	else if (target == FOR_LIBVIRT && m->listens)
		ctl_error(
			"%s: warning: libvirt makes a socket that only root and QEMU's user can connect "
			"to; unless okl4fsd is one of them, the guest needs \"socket_mode\": \"listen\"",
			m->guest);
	else if (target == FOR_QEMU)
		ctl_error(
			"%s: this QEMU needs okl4fsd at its start, and does not connect again; prefer "
			"\"socket_mode\": \"connect\"",
			m->guest);
}

/* Also warns of a machine that only one daemon can ever connect to */
bool ctl_target_is_possible(enum ctl_target target, const struct machine *m)
{
	const char *who = target == FOR_CLOUD ? "Cloud Hypervisor" : "libvirt";

	if (m->serial) {
		if (!are_ports_possible(target, m))
			return false;
		tell_of_ports(target, m);
		return true;
	}
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
	if (target == FOR_QEMU && m->listens)
		tell_umask(m);
	if (m->generic && m->listens)
		ctl_error("%s: warning: this QEMU ends when a second daemon connects; prefer "
			  "\"socket_mode\": \"listen\"",
			  m->guest);
	return true;
}

static enum ctl_exit run_qemu_args(const struct ctl *ctl, char **args)
{
	struct json_object *result = NULL, *channels = NULL, *list, *g;
	enum ctl_target target;
	struct machine m = { .n_ports = 0 };
	enum ctl_exit r;

	if (!ctl_read_target("qemu-args", &target, &m))
		return CTL_USAGE;
	r = ctl_call(ctl, "guest.list", ctl_guest_param(args[0]), &result);
	if (r)
		return r;
	g = ctl_list(result, "guests", &list) ? json_object_array_get_idx(list, 0) : NULL;
	if (!strcmp(ctl_string(g, "way"), "serial"))
		r = ctl_call(ctl, "channel.list", ctl_guest_param(args[0]), &channels);
	if (r) {
		json_object_put(result);
		return r;
	}
	machine_of_guest(&m, g, channels);
	r = CTL_REFUSED;
	if (*m.socket != '/') {
		ctl_error("the daemon's answer names no socket");
	} else if (ctl_target_is_possible(target, &m)) {
		r = print_machine(ctl, target, &m) ? CTL_REFUSED : CTL_DONE;
		if (r)
			ctl_error("out of memory");
	}
	machine_deinit(&m);
	json_object_put(channels);
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_qemu_args = {
	.name = "qemu-args",
	.arguments = "GUEST",
	.summary = "arguments that connect a QEMU to the daemon",
	.help = "They are printed ready to be pasted.\n",
	.options = ctl_target_options,
	.min = 1,
	.max = 1,
	.run = run_qemu_args,
};
