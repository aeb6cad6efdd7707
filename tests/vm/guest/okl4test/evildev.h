/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evildev.h - a driver in user space for the bare device that okl4evil.ko hands out
 *
 * It can behave well (hello, attach) and is made to misbehave: every word of the vrings, of the
 * requests and of the shared memory can be written at will.
 */
#ifndef OKL4TEST_EVILDEV_H
#define OKL4TEST_EVILDEV_H

#include <libfs/abi.h>
#include <libfs/status.h>
#include <linux/virtio_ring.h>

#include "okl4evil.h"
#include "util.h"

/* The layout of the arena */
#define ARENA_BELL    0x000000UL
#define ARENA_EVENT   0x001000UL
#define ARENA_REQUEST 0x010000UL /* 64 KiB */
#define ARENA_REPLY   0x020000UL
#define ARENA_CTL     0x100000UL
#define ARENA_FWD     0x200000UL
#define ARENA_BWD     0x300000UL

#define EVIL_CTL_BYTES  4096U
#define EVIL_RING_BYTES 65536U /* the configuration says so */

/**
 * struct evil_vq - a virtqueue seen from the driver's side
 * @map, @map_bytes: the mapping that its parts lie in
 * @desc, @avail, @used: its parts
 * @size: entries
 * @next: avail->idx, as we keep it
 * @taken: used entries looked at
 */
struct evil_vq {
	uint8_t *map;
	size_t map_bytes;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	unsigned int size;
	uint16_t next, taken;
};

/**
 * struct evil_dev - the device
 * @fd: /dev/okl4evil
 * @arena: its memory
 * @arena_gpa: guest-physical address of it
 * @vq: control and event queue
 * @channel: id of the channel to misuse
 * @instance: of the memory attached last
 * @cookie: of the request sent last
 * @random: state of random_next()
 */
struct evil_dev {
	int fd;
	uint8_t *arena;
	uint64_t arena_gpa;
	struct evil_vq vq[EVIL_N_QUEUES];
	uint32_t channel;
	uint64_t instance;
	uint32_t cookie;
	uint64_t random;
};

/** evil_open() - open the device and map all of it */
void evil_open(struct evil_dev *dev);

/** evil_reset() - reset it and set it up again, as a freshly loaded driver does */
void evil_reset(struct evil_dev *dev);

/** evil_put() - make a chain available that begins at descriptor @head, without a kick */
void evil_put(struct evil_vq *vq, uint16_t head);

/** evil_kick() - notify a queue */
void evil_kick(struct evil_dev *dev, unsigned int queue);

/** evil_wait_used() - wait up to @ms for a used entry, of @bytes; Return: whether one came */
bool evil_wait_used(struct evil_vq *vq, unsigned int ms, uint32_t *bytes);

/**
 * evil_send() - send the request that lies at ARENA_REQUEST
 * @dev: device
 * @bytes: readable bytes
 * @room: writable bytes for the reply; 0 makes a chain without writable bytes
 *
 * Return: bytes of the reply at ARENA_REPLY. Fails the program when none comes.
 */
uint32_t evil_send(struct evil_dev *dev, uint32_t bytes, uint32_t room);

/** evil_header() - fill in a request's header at ARENA_REQUEST; Return: the request */
void *evil_header(struct evil_dev *dev, unsigned int type, uint32_t bytes);

/** evil_status() - send a well-formed chain of the prepared request; Return: the reply's status */
int evil_status(struct evil_dev *dev, uint32_t bytes);

/** evil_hello() - send HELLO, which must be accepted */
void evil_hello(struct evil_dev *dev);

/** evil_lay_out() - fresh memsections, with a new instance */
void evil_lay_out(struct evil_dev *dev);

/** evil_attach_request() - prepare ATTACH of what evil_lay_out() made; Return: the request */
struct okl4fs_attach_req *evil_attach_request(struct evil_dev *dev);

#define ATTACH_BYTES ((uint32_t)(sizeof(struct okl4fs_attach_req) + 3 * sizeof(okl4_le64)))

/** evil_attach() - HELLO, lay out, attach; all must be accepted */
void evil_attach(struct evil_dev *dev);

/** evil_ctl(), evil_pipe() - the shared structures; @way is 0 for fwd, 1 for bwd */
struct okl4_ctl_shm *evil_ctl(struct evil_dev *dev);
struct okl4_pipe_shm *evil_pipe(struct evil_dev *dev, unsigned int way);

/** evil_ring() - ring the channel's bell */
void evil_ring(struct evil_dev *dev);

/** evil_wait_echo() - wait until the channel's echo has written so many bytes */
void evil_wait_echo(struct evil_dev *dev, uint64_t bytes);

/** evil_wait_failed() - wait for CHANNEL_FAILED of our channel; Return: its status */
int evil_wait_failed(struct evil_dev *dev);

#endif
