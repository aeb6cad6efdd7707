// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * socketpair.c - a channel end over three memsections
 *
 * The creator lays out the control memsection so:
 *
 *	0	okl4_ctl_shm
 *	128	heap of okl4_memsec_malloc to the end; in it the okl4_pipe_shm of fwd and that of
 *	bwd
 *
 * The creator decides where in the heap the two lie: the header tells their offsets. The attacher
 * copies each field of the header once into private memory (take_geometry()), checks the copies
 * (check_geometry()), and never looks at the header again.
 */
#include <libfs/checked.h>
#include <libfs/socketpair.h>

enum { FWD, BWD };

/* Private copy of an okl4_ctl_shm */
struct geometry {
	uint32_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint32_t ctl_bytes;
	uint64_t ring_bytes;
	uint64_t instance;
	uint32_t heap_offset;
	uint32_t heap_bytes;
	uint32_t pipe_offset[2];
};

static int common_init(struct okl4_socketpair *s, const struct okl4_memsec *ctl,
		       const struct okl4_memsec *fwd, const struct okl4_memsec *bwd,
		       uint64_t instance)
{
	if (ctl->bytes < OKL4FS_CTL_BYTES_MIN || ctl->bytes > OKL4FS_CTL_BYTES_MAX)
		return -OKL4_ARG;
	if (fwd->bytes < OKL4FS_RING_BYTES_MIN || fwd->bytes > OKL4FS_RING_BYTES_MAX)
		return -OKL4_ARG;
	if (!okl4_is_pow2(fwd->bytes) || fwd->bytes != bwd->bytes || !instance)
		return -OKL4_ARG;

	memset(s, 0, sizeof(*s));
	s->ctl = ctl;
	s->instance = instance;
	s->ring_bytes = fwd->bytes;
	return 0;
}

static void clear_memsec(const struct okl4_memsec *m)
{
	uint64_t offset = 0;

	while (offset < m->bytes) {
		uint64_t bytes = m->bytes - offset;
		void *at = okl4_memsec_span(m, offset, &bytes);

		memset(at, 0, bytes);
		offset += bytes;
	}
}

static void write_header(const struct okl4_socketpair *s, const uint32_t pipe_offset[2])
{
	struct okl4_ctl_shm *shm = okl4_memsec_at(s->ctl, 0, sizeof(*shm));

	okl4_store(&shm->version, okl4_cpu_to_le32(OKL4FS_ABI_VERSION));
	okl4_store(&shm->header_bytes, okl4_cpu_to_le32((uint32_t)sizeof(*shm)));
	okl4_store(&shm->ctl_bytes, okl4_cpu_to_le32((uint32_t)s->ctl->bytes));
	okl4_store(&shm->ring_bytes, okl4_cpu_to_le64(s->ring_bytes));
	okl4_store(&shm->instance, okl4_cpu_to_le64(s->instance));
	okl4_store(&shm->heap_offset, okl4_cpu_to_le32(s->heap.offset));
	okl4_store(&shm->heap_bytes, okl4_cpu_to_le32(s->heap.bytes));
	okl4_store(&shm->pipe_offset[FWD], okl4_cpu_to_le32(pipe_offset[FWD]));
	okl4_store(&shm->pipe_offset[BWD], okl4_cpu_to_le32(pipe_offset[BWD]));
	/* The magic last: a peer that sees it sees all of the above. Pairs with take_geometry() */
	okl4_store_release(&shm->magic, okl4_cpu_to_le32(OKL4FS_MAGIC));
}

int okl4_socketpair_create(struct okl4_socketpair *s, const struct okl4_memsec *ctl,
			   const struct okl4_memsec *fwd, const struct okl4_memsec *bwd,
			   uint64_t instance)
{
	uint32_t heap_bytes, pipe_offset[2];
	int r = common_init(s, ctl, fwd, bwd, instance);

	if (r)
		return r;
	clear_memsec(ctl);

	heap_bytes = (uint32_t)(ctl->bytes - sizeof(struct okl4_ctl_shm));
	r = okl4_memsec_malloc_create(&s->heap, ctl, sizeof(struct okl4_ctl_shm), heap_bytes);
	if (!r)
		r = okl4_memsec_malloc(&s->heap, sizeof(struct okl4_pipe_shm), &pipe_offset[FWD]);
	if (!r)
		r = okl4_memsec_malloc(&s->heap, sizeof(struct okl4_pipe_shm), &pipe_offset[BWD]);
	if (!r)
		r = okl4_pipe_producer_init(
			&s->tx, okl4_memsec_at(ctl, pipe_offset[FWD], sizeof(struct okl4_pipe_shm)),
			fwd);
	if (!r)
		r = okl4_pipe_consumer_init(
			&s->rx, okl4_memsec_at(ctl, pipe_offset[BWD], sizeof(struct okl4_pipe_shm)),
			bwd);
	if (!r)
		write_header(s, pipe_offset);
	return r;
}

/* Each field once */
static void take_geometry(const struct okl4_memsec *ctl, struct geometry *g)
{
	const struct okl4_ctl_shm *shm = okl4_memsec_at(ctl, 0, sizeof(*shm));

	/* Before all other fields. Pairs with the release in write_header() */
	g->magic = okl4_le32_to_cpu(okl4_load_acquire(&shm->magic));
	g->version = okl4_le32_to_cpu(okl4_load(&shm->version));
	g->header_bytes = okl4_le32_to_cpu(okl4_load(&shm->header_bytes));
	g->ctl_bytes = okl4_le32_to_cpu(okl4_load(&shm->ctl_bytes));
	g->ring_bytes = okl4_le64_to_cpu(okl4_load(&shm->ring_bytes));
	g->instance = okl4_le64_to_cpu(okl4_load(&shm->instance));
	g->heap_offset = okl4_le32_to_cpu(okl4_load(&shm->heap_offset));
	g->heap_bytes = okl4_le32_to_cpu(okl4_load(&shm->heap_bytes));
	g->pipe_offset[FWD] = okl4_le32_to_cpu(okl4_load(&shm->pipe_offset[FWD]));
	g->pipe_offset[BWD] = okl4_le32_to_cpu(okl4_load(&shm->pipe_offset[BWD]));
}

/* NULL when the offset, which the peer told, is misaligned, outside the heap or crosses a chunk */
static struct okl4_pipe_shm *pipe_at(const struct okl4_memsec *ctl, const struct geometry *g,
				     uint32_t offset)
{
	if (offset % OKL4FS_PIPE_ALIGN || offset < g->heap_offset)
		return NULL;
	if (!okl4_range_ok(offset - g->heap_offset, sizeof(struct okl4_pipe_shm), g->heap_bytes))
		return NULL;
	return okl4_memsec_at(ctl, offset, sizeof(struct okl4_pipe_shm));
}

static int check_geometry(const struct okl4_socketpair *s, const struct geometry *g)
{
	if (g->magic != OKL4FS_MAGIC)
		return -OKL4_CTL_MAGIC;
	if (g->version != OKL4FS_ABI_VERSION)
		return -OKL4_CTL_VERSION;
	if (g->header_bytes != sizeof(struct okl4_ctl_shm))
		return -OKL4_CTL_HEADER_BYTES;
	if (g->ctl_bytes != s->ctl->bytes)
		return -OKL4_CTL_BYTES;
	if (g->ring_bytes != s->ring_bytes)
		return -OKL4_CTL_RING_BYTES;
	if (g->instance != s->instance)
		return -OKL4_CTL_INSTANCE;
	if (g->heap_offset < sizeof(struct okl4_ctl_shm) ||
	    g->heap_offset % OKL4_MEMSEC_MALLOC_ALIGN ||
	    !okl4_range_ok(g->heap_offset, g->heap_bytes, s->ctl->bytes))
		return -OKL4_CTL_HEAP;
	if (!pipe_at(s->ctl, g, g->pipe_offset[FWD]) || !pipe_at(s->ctl, g, g->pipe_offset[BWD]))
		return -OKL4_CTL_PIPE_OFFSET;
	if (okl4_overlap(g->pipe_offset[FWD], sizeof(struct okl4_pipe_shm), g->pipe_offset[BWD],
			 sizeof(struct okl4_pipe_shm)))
		return -OKL4_CTL_PIPE_OVERLAP;
	return 0;
}

int okl4_socketpair_attach(struct okl4_socketpair *s, const struct okl4_memsec *ctl,
			   const struct okl4_memsec *fwd, const struct okl4_memsec *bwd,
			   uint64_t instance)
{
	struct geometry g;
	int r = common_init(s, ctl, fwd, bwd, instance);

	if (r)
		return r;
	take_geometry(ctl, &g);
	r = check_geometry(s, &g);
	if (!r)
		r = okl4_pipe_consumer_init(&s->rx, pipe_at(ctl, &g, g.pipe_offset[FWD]), fwd);
	if (!r)
		r = okl4_pipe_producer_init(&s->tx, pipe_at(ctl, &g, g.pipe_offset[BWD]), bwd);
	return r;
}
