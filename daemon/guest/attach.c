/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A memsection has up to 16384 chunks, and a guest has up to 1024 channels, so chunks are not
 * compared one by one. The chunks of a request are sorted once and kept as ascending, disjoint
 * ranges. To compare two such lists, each range of the shorter list is searched for in the longer
 * one.
 */
#include "guest/attach.h"

#include <libfs/checked.h>
#include <stdlib.h>
#include <string.h>

#include "guest/bell.h"
#include "guest/state.h"

void attachment_drop(struct attachment *att)
{
	free(att->gpa);
	free(att->extent);
	memset(att, 0, sizeof(*att));
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static bool extents_touch(const struct extent *list, uint32_t n, const struct extent *x)
{
	uint32_t low = 0, high = n;

	/* the first that ends past the beginning of @x */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (list[mid].gpa + (list[mid].bytes - 1) < x->gpa)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && okl4_overlap(list[low].gpa, list[low].bytes, x->gpa, x->bytes);
}

static bool attachments_touch(const struct attachment *a, const struct attachment *b)
{
	if (a->n_extents > b->n_extents)
		return attachments_touch(b, a);
	for (uint32_t i = 0; i < a->n_extents; i++) {
		if (extents_touch(b->extent, b->n_extents, &a->extent[i]))
			return true;
	}
	return false;
}

static bool touches_ring(const struct attachment *att, const struct guest_queue *q)
{
	const struct virtqueue *vq = &q->vq;
	const void *part[] = { vq->desc, vq->avail, vq->used };
	uint64_t bytes[] = { sizeof(struct vring_desc) * vq->size,
			     sizeof(struct vring_avail) + sizeof(__virtio16) * vq->size,
			     sizeof(struct vring_used) + sizeof(vring_used_elem_t) * vq->size };
	struct extent x;

	for (int i = 0; i < 3 && q->up; i++) {
		x.bytes = bytes[i];
		if (guest_memory_gpa(vq->mem, part[i], x.bytes, &x.gpa) &&
		    extents_touch(att->extent, att->n_extents, &x))
			return true;
	}
	return false;
}

/* @gc's own earlier memory is replaced, so it does not count. */
static bool touches_others(struct guest *g, const struct guest_channel *gc,
			   const struct attachment *att)
{
	struct extent bell = { g->driver.bell_gpa, sizeof(struct okl4_bell_shm) };

	if (extents_touch(att->extent, att->n_extents, &bell))
		return true;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		if (touches_ring(att, &g->queue[i]))
			return true;
	}
	for (uint32_t i = 0; i < g->n_ids; i++) {
		struct guest_channel *other = g->channel[i];

		if (other && other != gc && other->att.valid && !other->is_over &&
		    attachments_touch(&other->att, att))
			return true;
	}
	return false;
}

static int sort_extents(struct attachment *att)
{
	struct extent *last = att->extent;

	qsort(att->extent, att->n_extents, sizeof(*att->extent), compare_extents);
	for (uint32_t i = 1; i < att->n_extents; i++) {
		struct extent *x = &att->extent[i];

		if (okl4_overlap(last->gpa, last->bytes, x->gpa, x->bytes))
			return -OKL4_CHUNK_OVERLAP;
		if (x->gpa - last->gpa == last->bytes)
			last->bytes += x->bytes;
		else
			*++last = *x;
	}
	att->n_extents = (uint32_t)(last - att->extent) + 1;
	return 0;
}

/* The caller drops @att in every case. */
static int take_chunks(struct guest *g, struct attachment *att, const struct wire_attach *req)
{
	uint32_t n = 0;

	memcpy(att->sec, req->sec, sizeof(att->sec));
	att->instance = req->instance;
	att->n_gpa = req->n_chunks;
	att->gpa = malloc(req->n_chunks * sizeof(*att->gpa));
	att->extent = malloc(req->n_chunks * sizeof(*att->extent));
	if (!att->gpa || !att->extent)
		return -OKL4_NO_MEMORY;
	for (int s = 0; s < OKL4FS_N_SECS; s++) {
		uint64_t bytes = req->sec[s].chunk_bytes;

		for (uint32_t i = 0; i < req->sec[s].n_chunks; i++, n++) {
			uint64_t gpa = wire_chunk_gpa(req, n);

			if (gpa % OKL4FS_PAGE_BYTES)
				return -OKL4_CHUNK_ALIGN;
			if (!guest_memory_at(&g->mem, gpa, bytes))
				return -OKL4_CHUNK_UNMAPPED;
			att->gpa[n] = gpa;
			att->extent[n] = (struct extent){ gpa, bytes };
		}
	}
	att->n_extents = n;
	att->valid = true;
	return sort_extents(att);
}

static void free_pointers(void **chunk[OKL4FS_N_SECS])
{
	for (int s = 0; s < OKL4FS_N_SECS; s++)
		free(chunk[s]);
}

/* After an error there is nothing to free in @chunk. */
static int resolve(struct guest *g, const struct attachment *att,
		   struct okl4_memsec sec[OKL4FS_N_SECS], void **chunk[OKL4FS_N_SECS])
{
	const uint64_t *gpa = att->gpa;
	int r = 0;

	memset(chunk, 0, OKL4FS_N_SECS * sizeof(*chunk));
	for (int s = 0; s < OKL4FS_N_SECS && !r; s++) {
		const struct wire_sec *shape = &att->sec[s];

		chunk[s] = calloc(shape->n_chunks, sizeof(**chunk));
		if (!chunk[s])
			r = -OKL4_NO_MEMORY;
		for (uint32_t i = 0; i < shape->n_chunks && !r; i++) {
			chunk[s][i] = guest_memory_at(&g->mem, *gpa++, shape->chunk_bytes);
			if (!chunk[s][i])
				r = -OKL4_MEMORY_LOST;
		}
		if (!r)
			r = okl4_memsec_init(&sec[s], chunk[s], shape->n_chunks,
					     shape->chunk_bytes);
	}
	if (r)
		free_pointers(chunk);
	return r;
}

int guest_reattach(struct guest *g, struct guest_channel *gc)
{
	struct okl4_memsec sec[OKL4FS_N_SECS];
	void **chunk[OKL4FS_N_SECS];
	int r = resolve(g, &gc->att, sec, chunk);

	return r ? r : channel_attach(&gc->ch, sec, chunk, gc->att.instance);
}

int guest_attach_check(struct guest *g, const struct guest_channel *gc,
		       const struct wire_attach *req, uint64_t ring_bytes, struct attachment *att)
{
	int r;

	*att = (struct attachment){ 0 };
	if (req->sec[OKL4FS_SEC_FWD].bytes != ring_bytes ||
	    req->sec[OKL4FS_SEC_BWD].bytes != ring_bytes ||
	    req->sec[OKL4FS_SEC_CTL].bytes < OKL4FS_CTL_BYTES_MIN ||
	    req->sec[OKL4FS_SEC_CTL].bytes > OKL4FS_CTL_BYTES_MAX)
		return -OKL4_SEC_BYTES;
	if (!req->instance)
		return -OKL4_CTL_INSTANCE;
	r = take_chunks(g, att, req);
	if (!r && touches_others(g, gc, att))
		r = -OKL4_CHUNK_OVERLAP;
	if (r)
		attachment_drop(att);
	return r;
}

int guest_attach_take(struct guest *g, struct guest_channel *gc, const struct attachment *att)
{
	int r;

	attachment_drop(&gc->att);
	gc->att = *att;
	r = guest_reattach(g, gc);
	if (r)
		attachment_drop(&gc->att);
	return r;
}

int guest_attach(struct guest *g, const struct wire_attach *req)
{
	struct guest_channel *gc = guest_channel_of(g, req->channel);
	struct attachment att;
	int r;

	if (!gc || gc->generation != req->generation)
		return -OKL4_NO_CHANNEL;
	if (gc->cfg.sessions)
		return -OKL4_REQ_SESSION;
	r = guest_attach_check(g, gc, req, gc->ch.cfg->ring_bytes, &att);
	return r ? r : guest_attach_take(g, gc, &att);
}

void guest_forget_driver(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (!g->channel[id])
			continue;
		channel_suspend(&g->channel[id]->ch);
		attachment_drop(&g->channel[id]->att);
	}
	guest_bell_reset(g);
	memset(&g->driver, 0, sizeof(g->driver));
}
