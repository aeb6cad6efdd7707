// SPDX-License-Identifier: BSD-3-Clause
/*
 * evildev.c - a driver in user space for the bare device that okl4evil.ko hands out
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "evildev.h"
#include "pattern.h"

#define ANSWER_MS 10000
#define N_EVENTS  8 /* event buffers that are posted */

/* map() - map a part of the device's memory */
static void *map(int fd, size_t bytes, unsigned long offset)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	expect(memory != MAP_FAILED, "mmap of /dev/okl4evil at %#lx: %m", offset);
	return memory;
}

/* post_event() - give the host the event buffer that belongs to descriptor @i */
static void post_event(struct evil_dev *dev, uint16_t i)
{
	dev->vq[1].desc[i] = (struct vring_desc){
		.addr = dev->arena_gpa + ARENA_EVENT + i * sizeof(struct okl4fs_event),
		.len = sizeof(struct okl4fs_event),
		.flags = VRING_DESC_F_WRITE,
	};
	evil_put(&dev->vq[1], i);
}

/* map_queues() - find the vrings, and post event buffers */
static void map_queues(struct evil_dev *dev)
{
	struct evil_info info;

	expect(ioctl(dev->fd, EVIL_INFO, &info) == 0, "EVIL_INFO: %m");
	dev->arena_gpa = info.arena_gpa;
	for (unsigned int i = 0; i < EVIL_N_QUEUES; i++) {
		const struct evil_queue *queue = &info.queue[i];
		uint8_t *base = map(dev->fd, queue->map_bytes, EVIL_QUEUE_OFFSET(i));

		if (dev->vq[i].map)
			munmap(dev->vq[i].map, dev->vq[i].map_bytes);
		dev->vq[i] = (struct evil_vq){
			.map = base,
			.map_bytes = queue->map_bytes,
			.desc = (void *)(base + queue->desc),
			.avail = (void *)(base + queue->avail),
			.used = (void *)(base + queue->used),
			.size = queue->size,
		};
	}
	for (uint16_t i = 0; i < N_EVENTS; i++)
		post_event(dev, i);
}

void evil_open(struct evil_dev *dev)
{
	dev->fd = open("/dev/okl4evil", O_RDWR | O_CLOEXEC);
	expect(dev->fd >= 0, "/dev/okl4evil: %m");
	dev->arena = map(dev->fd, EVIL_ARENA_BYTES, 0);
	evil_reset(dev);
}

void evil_reset(struct evil_dev *dev)
{
	expect(ioctl(dev->fd, EVIL_RESET) == 0, "EVIL_RESET: %m");
	map_queues(dev);
}

void evil_put(struct evil_vq *vq, uint16_t head)
{
	vq->avail->ring[vq->next++ % vq->size] = head;
	__atomic_store_n(&vq->avail->idx, vq->next, __ATOMIC_RELEASE);
}

void evil_kick(struct evil_dev *dev, unsigned int queue)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	expect(ioctl(dev->fd, EVIL_KICK, queue) == 0, "EVIL_KICK: %m");
}

bool evil_wait_used(struct evil_vq *vq, unsigned int ms, uint32_t *bytes)
{
	uint64_t end = now_ns() + ms * 1000000ULL;

	while (__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE) == vq->taken) {
		if (now_ns() > end)
			return false;
		poll(NULL, 0, 1);
	}
	*bytes = vq->used->ring[vq->taken++ % vq->size].len;
	return true;
}

uint32_t evil_send(struct evil_dev *dev, uint32_t bytes, uint32_t room)
{
	struct evil_vq *vq = &dev->vq[0];
	uint32_t got = 0;

	memset(dev->arena + ARENA_REPLY, 0, 4096);
	vq->desc[0] = (struct vring_desc){
		.addr = dev->arena_gpa + ARENA_REQUEST,
		.len = bytes,
		.flags = room ? VRING_DESC_F_NEXT : 0,
		.next = 1,
	};
	vq->desc[1] = (struct vring_desc){
		.addr = dev->arena_gpa + ARENA_REPLY,
		.len = room,
		.flags = VRING_DESC_F_WRITE,
	};
	evil_put(vq, 0);
	evil_kick(dev, 0);
	expect(evil_wait_used(vq, ANSWER_MS, &got), "no answer on the control queue");
	return got;
}

void *evil_header(struct evil_dev *dev, unsigned int type, uint32_t bytes)
{
	struct okl4fs_req_hdr *hdr = (void *)(dev->arena + ARENA_REQUEST);

	memset(hdr, 0, bytes > sizeof(*hdr) ? bytes : sizeof(*hdr));
	*hdr = (struct okl4fs_req_hdr){
		.magic = OKL4FS_MAGIC,
		.type = (okl4_le16)type,
		.bytes = bytes,
		.cookie = ++dev->cookie,
	};
	return hdr;
}

int evil_status(struct evil_dev *dev, uint32_t bytes)
{
	const struct okl4fs_rep_hdr *rep = (void *)(dev->arena + ARENA_REPLY);
	uint32_t got = evil_send(dev, bytes, 4096);

	expect(got >= sizeof(*rep), "a reply of %u bytes", got);
	expect(rep->magic == OKL4FS_MAGIC, "the reply's magic is %#x", rep->magic);
	expect(rep->bytes == got, "the reply says %u bytes, and has %u", rep->bytes, got);
	return rep->status;
}

void evil_hello(struct evil_dev *dev)
{
	struct okl4fs_hello_req *req = evil_header(dev, OKL4FS_REQ_HELLO, sizeof(*req));
	int status;

	req->version = OKL4FS_ABI_VERSION;
	req->n_event_queues = 1;
	req->bell_gpa = dev->arena_gpa + ARENA_BELL;
	req->driver_instance = 0xe1;
	memset(dev->arena + ARENA_BELL, 0, 4096);
	status = evil_status(dev, sizeof(*req));
	expect(status == OKL4_OK, "HELLO was refused: %d", status);
	evil_kick(dev, 1); /* the event buffers are there */
}

struct okl4_ctl_shm *evil_ctl(struct evil_dev *dev)
{
	return (void *)(dev->arena + ARENA_CTL);
}

struct okl4_pipe_shm *evil_pipe(struct evil_dev *dev, unsigned int way)
{
	return (void *)(dev->arena + ARENA_CTL + 512 + 512 * way);
}

void evil_lay_out(struct evil_dev *dev)
{
	memset(dev->arena + ARENA_CTL, 0, EVIL_CTL_BYTES);
	dev->instance = random_next(&dev->random) | 1;
	*evil_ctl(dev) = (struct okl4_ctl_shm){
		.magic = OKL4FS_MAGIC,
		.version = OKL4FS_ABI_VERSION,
		.header_bytes = sizeof(struct okl4_ctl_shm),
		.ctl_bytes = EVIL_CTL_BYTES,
		.ring_bytes = EVIL_RING_BYTES,
		.instance = dev->instance,
		.heap_offset = sizeof(struct okl4_ctl_shm),
		.heap_bytes = EVIL_CTL_BYTES - sizeof(struct okl4_ctl_shm),
		.pipe_offset = { 512, 1024 },
	};
}

struct okl4fs_attach_req *evil_attach_request(struct evil_dev *dev)
{
	static const uint32_t bytes[OKL4FS_N_SECS] = { EVIL_CTL_BYTES, EVIL_RING_BYTES,
						       EVIL_RING_BYTES };
	static const uint64_t place[OKL4FS_N_SECS] = { ARENA_CTL, ARENA_FWD, ARENA_BWD };
	struct okl4fs_attach_req *req = evil_header(dev, OKL4FS_REQ_ATTACH, ATTACH_BYTES);

	req->channel = dev->channel;
	req->instance = dev->instance;
	for (unsigned int i = 0; i < OKL4FS_N_SECS; i++) {
		req->sec[i] = (struct okl4fs_sec_geometry){ bytes[i], bytes[i], 1 };
		req->chunk_gpa[i] = dev->arena_gpa + place[i];
	}
	return req;
}

void evil_attach(struct evil_dev *dev)
{
	int status;

	evil_hello(dev);
	evil_lay_out(dev);
	evil_attach_request(dev);
	status = evil_status(dev, ATTACH_BYTES);
	expect(status == OKL4_OK, "ATTACH was refused: %d", status);
}

void evil_ring(struct evil_dev *dev)
{
	struct okl4_bell_shm *bell = (void *)(dev->arena + ARENA_BELL);

	__atomic_fetch_or(&bell->to_host[dev->channel % OKL4FS_BELL_WORDS],
			  1ULL << dev->channel / OKL4FS_BELL_WORDS, __ATOMIC_SEQ_CST);
	evil_kick(dev, 1);
}

void evil_wait_echo(struct evil_dev *dev, uint64_t bytes)
{
	uint64_t end = now_ns() + ANSWER_MS * 1000000ULL;

	while (__atomic_load_n(&evil_pipe(dev, 1)->producer.head, __ATOMIC_ACQUIRE) != bytes)
		expect(now_ns() < end, "the echo does not move to %llu", (unsigned long long)bytes);
}

int evil_wait_failed(struct evil_dev *dev)
{
	struct evil_vq *vq = &dev->vq[1];
	struct okl4fs_event event;
	uint32_t bytes;

	for (;;) {
		uint16_t head;

		expect(evil_wait_used(vq, ANSWER_MS, &bytes), "no CHANNEL_FAILED event");
		head = (uint16_t)vq->used->ring[(uint16_t)(vq->taken - 1) % vq->size].id;
		expect(head < N_EVENTS && bytes == sizeof(event), "event buffer %u, %u bytes", head,
		       bytes);
		memcpy(&event, dev->arena + ARENA_EVENT + head * sizeof(event), sizeof(event));
		post_event(dev, head);
		evil_kick(dev, 1);
		if (event.type != OKL4FS_EVENT_CHANNEL_FAILED)
			continue;
		expect(event.channel == dev->channel, "channel %u failed", event.channel);
		expect(event.arg == dev->instance, "another instance failed");
		return event.status;
	}
}
