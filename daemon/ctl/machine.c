// SPDX-License-Identifier: BSD-3-Clause
/*
 * machine.c - what connects a virtual machine to a guest of the daemon, for each kind of machine
 *
 * The memory must be shared, or the daemon sees none of it, and QEMU does not report that. In mode
 * `connect` QEMU listens, and waits at its start for the daemon; a daemon that comes back later can
 * connect again. Cloud Hypervisor and the devices that libvirt knows can only connect.
 */

#include "ctl/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/quote.h"
#include "util/fd.h"

/* The driver takes file systems whose tag begins with "okl4fs", and leaves the rest to virtiofs */
#define TAG "okl4fs0"

#define FS_DEVICE "vhost-user-fs-pci,chardev=okl4fs,tag=" TAG

/* The generic device: a virtio id that no driver of Linux takes; a control and an event queue */
#define GENERIC_ID "38"

/* Buffers per queue, where the size must be given: QEMU's default */
#define QUEUE_SIZE "128"

#if defined(__x86_64__)
#define LIBVIRT_MACHINE " arch='x86_64' machine='q35'"
#elif defined(__aarch64__)
#define LIBVIRT_MACHINE " arch='aarch64' machine='virt'"
#else
#define LIBVIRT_MACHINE ""
#endif

static int vhost_qemu(const struct machine *m, struct machine_words *out)
{
	_cleanup_free_ char *path = quote_qemu(m->socket);
	const char *device = m->generic ? "vhost-user-test-device-pci,chardev=okl4fs,"
					  "virtio-id=" GENERIC_ID ",num_vqs=2" :
					  FS_DEVICE;

	if (!path || machine_add_option(out, "-m", "%luM", m->memory_mib) ||
	    machine_add_option(out, "-object",
			       "memory-backend-memfd,id=okl4fs-mem,size=%luM,share=on",
			       m->memory_mib) ||
	    machine_add_option(out, "-machine", "memory-backend=okl4fs-mem") ||
	    machine_add_option(out, "-chardev", "socket,id=okl4fs,path=%s%s", path,
			       m->listens ? ",server=on" : "") ||
	    machine_add_option(out, "-device", "%s", device))
		return -ENOMEM;
	return 0;
}

int machine_qemu(const struct machine *m, struct machine_words *out)
{
	return m->serial ? ports_qemu(m, out) : vhost_qemu(m, out);
}

int machine_cloud(const struct machine *m, struct machine_words *out)
{
	_cleanup_free_ char *path = quote_cloud(m->socket);

	if (!path || machine_add_option(out, "--memory", "size=%luM,shared=on", m->memory_mib))
		return -ENOMEM;
	if (m->generic)
		return machine_add_option(out, "--generic-vhost-user",
					  "socket=%s,device_type=" GENERIC_ID
					  ",queue_sizes=[" QUEUE_SIZE "," QUEUE_SIZE "]",
					  path);
	return machine_add_option(
		out, "--fs", "tag=" TAG ",socket=%s,num_queues=1,queue_size=" QUEUE_SIZE, path);
}

static char *filesystem_xml(const struct machine *m, const char *indent)
{
	_cleanup_free_ char *path = quote_xml(m->socket);
	char *xml;

	if (!path || asprintf(&xml,
			      "%1$s<filesystem type='mount'>\n"
			      "%1$s  <driver type='virtiofs' queue='" QUEUE_SIZE "'/>\n"
			      "%1$s  <source socket='%2$s'/>\n"
			      "%1$s  <target dir='" TAG "'/>\n"
			      "%1$s</filesystem>\n",
			      indent, path) < 0)
		return NULL;
	return xml;
}

char *machine_filesystem(const struct machine *m)
{
	return filesystem_xml(m, "");
}

/* libvirt does not know of this device and hands out slots from the lowest up, so it is at 0x10 */
static char *commandline_xml(const struct machine *m)
{
	_cleanup_free_ char *qemu = quote_qemu(m->socket);
	_cleanup_free_ char *path = qemu ? quote_xml(qemu) : NULL;
	char *xml;

	if (!path ||
	    asprintf(&xml,
		     "  <!-- QEMU listens, which a <filesystem> cannot do; libvirt does not "
		     "manage this device -->\n"
		     "  <qemu:commandline>\n"
		     "    <qemu:arg value='-chardev'/>\n"
		     "    <qemu:arg value='socket,id=okl4fs,path=%s,server=on'/>\n"
		     "    <qemu:arg value='-device'/>\n"
		     "    <qemu:arg value='" FS_DEVICE ",bus=pcie.0,addr=0x10'/>\n"
		     "  </qemu:commandline>\n",
		     path) < 0)
		return NULL;
	return xml;
}

/* Without this okl4fsd cannot see the memory; for ports it need not */
#define MEMORY_XML                                                \
	"  <!-- without this okl4fsd cannot see the memory -->\n" \
	"  <memoryBacking>\n"                                     \
	"    <source type='memfd'/>\n"                            \
	"    <access mode='shared'/>\n"                           \
	"  </memoryBacking>\n"

char *machine_domain(const struct machine *m)
{
	bool by_hand = m->listens && !m->serial;
	_cleanup_free_ char *device = m->serial ? ports_xml(m) :
				      by_hand   ? strdup("") :
						  filesystem_xml(m, "    ");
	_cleanup_free_ char *more = by_hand ? commandline_xml(m) : strdup("");
	const char *order = "";
	char *xml;

	if (!m->listens)
		order = "    <!-- its channels; start okl4fsd before the domain -->\n";
	else if (m->serial)
		order = "    <!-- its channels -->\n";

	if (!device || !more ||
	    asprintf(&xml,
		     "<domain type='qemu'%s>\n"
		     "  <!-- type='kvm' where KVM works. Add a disk, or <kernel> and <initrd> to <os>. -->\n"
		     "  <name>%s</name>\n"
		     "  <memory unit='MiB'>%lu</memory>\n"
		     "%s"
		     "  <!-- a single CPU has no atomic instructions under type='qemu' -->\n"
		     "  <vcpu>2</vcpu>\n"
		     "  <os>\n"
		     "    <type" LIBVIRT_MACHINE ">hvm</type>\n"
		     "  </os>\n"
		     "  <features>\n"
		     "    <acpi/>\n"
		     "  </features>\n"
		     "  <devices>\n"
		     "%s%s"
		     "    <console type='pty'/>\n"
		     "  </devices>\n"
		     "%s"
		     "</domain>\n",
		     by_hand ? " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'" : "",
		     m->guest, m->memory_mib, m->serial ? "" : MEMORY_XML, order, device, more) < 0)
		return NULL;
	return xml;
}
