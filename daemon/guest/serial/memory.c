// SPDX-License-Identifier: BSD-3-Clause
#include "guest/serial/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int lay_out(struct serial_memory *m, uint64_t ring_bytes)
{
	const uint64_t bytes[OKL4FS_N_SECS] = {
		[OKL4FS_SEC_CTL] = OKL4FS_CTL_BYTES_MIN,
		[OKL4FS_SEC_FWD] = ring_bytes,
		[OKL4FS_SEC_BWD] = ring_bytes,
	};
	uint8_t *at;
	int r = 0;

	m->map_bytes = OKL4FS_CTL_BYTES_MIN + 2 * ring_bytes;
	m->map = mmap(NULL, m->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (m->map == MAP_FAILED) {
		m->map = NULL;
		return -ENOMEM;
	}
	at = m->map;
	for (int i = 0; i < OKL4FS_N_SECS && !r; i++) {
		m->chunk[i] = at;
		at += bytes[i];
		r = okl4_memsec_init(&m->sec[i], &m->chunk[i], 1, bytes[i]);
	}
	return r;
}

static uint64_t new_instance(void)
{
	uint64_t instance;

	do
		arc4random_buf(&instance, sizeof(instance));
	while (!instance);
	return instance;
}

/* The arrays of chunks become the channel's. Return: 0, -ENOMEM, or a negated okl4_status */
static int attach(struct serial_memory *m, struct channel *ch)
{
	void **chunk[OKL4FS_N_SECS];
	bool no_memory = false;

	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		chunk[i] = malloc(sizeof(*chunk[i]));
		no_memory |= !chunk[i];
		if (chunk[i])
			chunk[i][0] = m->chunk[i];
	}
	if (!no_memory)
		return channel_attach(ch, m->sec, chunk, m->end.instance);
	for (int i = 0; i < OKL4FS_N_SECS; i++)
		free(chunk[i]);
	return -ENOMEM;
}

int serial_memory_attach(struct serial_memory *m, struct channel *ch)
{
	int r = lay_out(m, ch->cfg->ring_bytes);

	if (!r)
		r = okl4_socketpair_create(&m->end, &m->sec[OKL4FS_SEC_CTL],
					   &m->sec[OKL4FS_SEC_FWD], &m->sec[OKL4FS_SEC_BWD],
					   new_instance());
	if (!r)
		r = attach(m, ch);
	if (r)
		serial_memory_free(m);
	return r;
}

void serial_memory_free(struct serial_memory *m)
{
	if (m->map)
		munmap(m->map, m->map_bytes);
	memset(m, 0, sizeof(*m));
}
