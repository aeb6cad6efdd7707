// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pipe_opener.c - which program opened an end
 *
 * The words are stored before the phase is, so a peer that finds the end open finds them, too (D).
 * They are hints: each is loaded once, and nothing depends on it.
 */
#include "pipe_look.h"

static void store_opener(const struct okl4_pipe *p, struct okl4_opener_shm *shm,
			 const struct okl4_opener *opener)
{
	if (okl4_pipe_is_open(p) || p->error)
		return;
	okl4_store(&shm->uid, okl4_cpu_to_le32(opener->uid));
	okl4_store(&shm->gid, okl4_cpu_to_le32(opener->gid));
	okl4_store(&shm->pid, okl4_cpu_to_le32(opener->pid));
	for (size_t i = 0; i < OKL4FS_COMM_BYTES; i++)
		okl4_store(&shm->comm[i], opener->comm[i]);
}

static bool load_opener(const struct okl4_opener_shm *shm, struct okl4_opener *opener)
{
	opener->uid = okl4_le32_to_cpu(okl4_load(&shm->uid));
	opener->gid = okl4_le32_to_cpu(okl4_load(&shm->gid));
	opener->pid = okl4_le32_to_cpu(okl4_load(&shm->pid));
	for (size_t i = 0; i < OKL4FS_COMM_BYTES; i++)
		opener->comm[i] = okl4_load(&shm->comm[i]);
	return opener->pid;
}

void okl4_pipe_producer_name(struct okl4_pipe *p, const struct okl4_opener *opener)
{
	store_opener(p, &p->shm->producer.opener, opener);
}

void okl4_pipe_consumer_name(struct okl4_pipe *p, const struct okl4_opener *opener)
{
	store_opener(p, &p->shm->consumer.opener, opener);
}

bool okl4_pipe_producer_opener(const struct okl4_pipe *p, struct okl4_opener *opener)
{
	return load_opener(&p->shm->consumer.opener, opener);
}

bool okl4_pipe_consumer_opener(const struct okl4_pipe *p, struct okl4_opener *opener)
{
	return load_opener(&p->shm->producer.opener, opener);
}
