// SPDX-License-Identifier: BSD-3-Clause
/*
 * ports.c - what connects a virtual machine whose channels are ports of virtio-serial
 *
 * QEMU gives each port a character device, and the daemon is at the other end of its socket. Where
 * QEMU listens it does not wait for the daemon, and a daemon that comes back connects again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/machine.h"
#include "ctl/quote.h"
#include "ctl/result.h"
#include "util/fd.h"

/* QEMU's virtio-serial device has 31 ports unless it is told otherwise; the first is the console's */
#define PORTS_PER_DEVICE 30

void machine_of_guest(struct machine *m, struct json_object *guest, struct json_object *channels)
{
	struct json_object *list;
	size_t n = ctl_list(channels, "channels", &list);

	m->guest = ctl_string(guest, "name");
	m->socket = ctl_string(guest, "socket");
	m->listens = !strcmp(ctl_string(guest, "socket_mode"), "connect");
	m->serial = !strcmp(ctl_string(guest, "way"), "serial");
	m->port = m->serial ? calloc(n + 1, sizeof(*m->port)) : NULL;
	for (size_t i = 0; m->port && i < n; i++) {
		struct json_object *channel = json_object_array_get_idx(list, i);

		if (!strcmp(ctl_string(channel, "guest"), m->guest))
			m->port[m->n_ports++] = strdup(ctl_string(channel, "name"));
	}
}

void machine_deinit(struct machine *m)
{
	for (size_t i = 0; i < m->n_ports; i++)
		free(m->port[i]);
	free(m->port);
	m->port = NULL;
	m->n_ports = 0;
}

/* As config_port_path() */
static char *port_path(const struct machine *m, size_t i, char *(*quote)(const char *text))
{
	_cleanup_free_ char *path = NULL;

	if (m->port[i] && asprintf(&path, "%s.%s", m->socket, m->port[i]) < 0)
		path = NULL;
	return path ? quote(path) : NULL;
}

static int add_port(const struct machine *m, size_t i, struct machine_words *out)
{
	_cleanup_free_ char *path = port_path(m, i, quote_qemu);
	_cleanup_free_ char *name = m->port[i] ? quote_qemu(m->port[i]) : NULL;

	if (!path || !name)
		return -ENOMEM;
	if (i % PORTS_PER_DEVICE == 0 &&
	    machine_add_option(out, "-device", "virtio-serial-pci,id=okl4fs%zu",
			       i / PORTS_PER_DEVICE))
		return -ENOMEM;
	if (machine_add_option(out, "-chardev", "socket,id=okl4fs-port%zu,path=%s%s", i, path,
			       m->listens ? ",server=on,wait=off" : ""))
		return -ENOMEM;
	return machine_add_option(
		out, "-device",
		"virtserialport,bus=okl4fs%zu.0,chardev=okl4fs-port%zu,name=okl4.%s",
		i / PORTS_PER_DEVICE, i, name);
}

int ports_qemu(const struct machine *m, struct machine_words *out)
{
	int r = m->port ? 0 : -ENOMEM;

	for (size_t i = 0; i < m->n_ports && !r; i++)
		r = add_port(m, i, out);
	return r;
}

/* Without the label libvirt gives the daemon's socket to QEMU's user, and the next daemon finds it so */
#define CONNECTS                                           \
	">\n"                                              \
	"        <reconnect enabled='yes' timeout='1'/>\n" \
	"        <seclabel model='dac' relabel='no'/>\n"   \
	"      </source>"

static bool print_port(const struct machine *m, size_t i, FILE *out)
{
	_cleanup_free_ char *path = port_path(m, i, quote_xml);
	_cleanup_free_ char *name = m->port[i] ? quote_xml(m->port[i]) : NULL;

	if (!path || !name)
		return false;
	fprintf(out,
		"    <channel type='unix'>\n"
		"      <source mode='%s' path='%s'%s\n"
		"      <target type='virtio' name='okl4.%s'/>\n"
		"    </channel>\n",
		m->listens ? "bind" : "connect", path, m->listens ? "/>" : CONNECTS, name);
	return true;
}

char *ports_xml(const struct machine *m)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = m->port ? open_memstream(&text, &bytes) : NULL;
	bool ok = out;

	for (size_t i = 0; i < m->n_ports && ok; i++)
		ok = print_port(m, i, out);
	if (out)
		fclose(out);
	if (ok)
		return text;
	free(text);
	return NULL;
}
