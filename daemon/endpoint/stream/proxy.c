// SPDX-License-Identifier: BSD-3-Clause
/*
 * The address family is AF_UNIX, since a guest has no address here: the source is GUEST/CHANNEL, the
 * destination what is connected to. The daemon vouches for the guest and the channel. What it says of
 * the program is the guest's word, so a server must not decide anything by it.
 */
#include "endpoint/stream/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "channel/opener.h"
#include "util/utf8.h"

#define UNIX_PATH_BYTES 108
#define TLVS_MAX_BYTES  512

struct proxy_header {
	uint8_t signature[12];
	uint8_t version_command, family;
	uint16_t bytes; /* of what follows; big-endian, as all numbers here */
	char source[UNIX_PATH_BYTES], destination[UNIX_PATH_BYTES];
	uint8_t tlv[TLVS_MAX_BYTES];
};
_Static_assert(offsetof(struct proxy_header, tlv) == 232, "the header has no holes");

/* @at: bytes of TLVs so far; Return: with this one, for which there is room */
static size_t add_tlv(struct proxy_header *h, size_t at, enum proxy_type type, const char *text)
{
	size_t bytes = strlen(text);

	h->tlv[at] = (uint8_t)type;
	h->tlv[at + 1] = (uint8_t)(bytes >> 8);
	h->tlv[at + 2] = (uint8_t)bytes;
	memcpy(h->tlv + at + 3, text, bytes);
	return at + 3 + bytes;
}

static size_t add_number(struct proxy_header *h, size_t at, enum proxy_type type, uint32_t number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return add_tlv(h, at, type, text);
}

/* A log of the server's may show it */
static void clean_comm(const struct okl4_opener *opener, char out[3 * OKL4FS_COMM_BYTES + 1])
{
	char raw[OKL4FS_COMM_BYTES + 1] = "";

	memcpy(raw, opener->comm, OKL4FS_COMM_BYTES);
	for (char *c = raw; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	utf8_clean(out, raw);
}

static size_t add_opener(struct proxy_header *h, size_t at, const struct okl4_opener *opener,
			 const char *end)
{
	char comm[3 * OKL4FS_COMM_BYTES + 1];

	clean_comm(opener, comm);
	at = add_number(h, at, PROXY_OPENER_UID, opener->uid);
	at = add_number(h, at, PROXY_OPENER_GID, opener->gid);
	at = add_number(h, at, PROXY_OPENER_PID, opener->pid);
	at = add_tlv(h, at, PROXY_OPENER_COMM, comm);
	return add_tlv(h, at, PROXY_OPENER_END, end);
}

int proxy_send(struct channel *ch, int fd, const char *target)
{
	struct proxy_header h = {
		.signature = "\r\n\r\n\0\r\nQUIT\n",
		.version_command = 0x21, /* version 2, PROXY */
		.family = 0x31, /* AF_UNIX, stream */
	};
	const struct okl4_opener *opener;
	const char *end;
	size_t bytes;
	ssize_t n;

	snprintf(h.source, sizeof(h.source), "%s/%s", ch->guest_name, ch->cfg->name);
	snprintf(h.destination, sizeof(h.destination), "%s", target);
	bytes = add_tlv(&h, 0, PROXY_GUEST, ch->guest_name);
	bytes = add_tlv(&h, bytes, PROXY_CHANNEL, ch->cfg->name);
	opener = channel_opener(ch, &end);
	if (opener)
		bytes = add_opener(&h, bytes, opener, end);
	bytes += offsetof(struct proxy_header, tlv);
	h.bytes = htons((uint16_t)(bytes - offsetof(struct proxy_header, source)));
	/* The socket's buffer is empty, and larger than this */
	n = send(fd, &h, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -ENOBUFS;
}
