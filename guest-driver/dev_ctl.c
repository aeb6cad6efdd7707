// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_ctl.c - requests of a device to its host: HELLO, CHANNEL_INFO, PING
 *
 * The functions here and in dev_memory.c return 0 when the host says OKL4_OK, a positive enum
 * okl4_status when it refuses, and a negative errno when there is no (good) answer. Then the device
 * must be reset, except for -ENOMEM: such a request was never made. A host that was restarted
 * without a reset of the device does not know it: that is -ESTALE.
 */
#include <linux/io.h>

#include "dev.h"

u64 okl4_driver_instance;

/**
 * okl4_ctl_hello() - introduce the driver to the host
 * @dev: device
 * @limit_ms: how long to wait for the answer
 * @max_channels: out: channel ids are below this; at most OKL4FS_MAX_CHANNELS
 *
 * Return: as said at the head of this file.
 */
int okl4_ctl_hello(struct okl4_dev *dev, unsigned int limit_ms, u32 *max_channels)
{
	struct okl4fs_hello_rep rep;
	struct okl4fs_hello_req *body;
	struct okl4_req *req;
	int r;

	req = okl4_req_new(OKL4FS_REQ_HELLO, sizeof(*body), sizeof(rep));
	if (req) {
		body = okl4_req_at(req, 0);
		body->version = cpu_to_le32(OKL4FS_ABI_VERSION);
		body->n_event_queues = cpu_to_le32(dev->n_bells);
		body->bell_gpa = cpu_to_le64(virt_to_phys(dev->bell));
		body->driver_instance = cpu_to_le64(okl4_driver_instance);
	}
	r = okl4_call(dev, req, limit_ms, &rep);
	if (r == -EBADMSG && !dev->greeted && dev->carrier->unproven)
		okl4_dev_let_go(dev);
	if (r)
		return r;
	if (le32_to_cpu(rep.version) != OKL4FS_ABI_VERSION)
		return -EPROTO;
	*max_channels = min_t(u32, le32_to_cpu(rep.max_channels), OKL4FS_MAX_CHANNELS);
	return 0;
}

/**
 * okl4_ctl_info() - ask for the first channel from an id on
 * @dev: device
 * @first_id: id
 * @info: out: what the host says, not checked
 *
 * Return: as said at the head of this file; OKL4_NO_CHANNEL: there is none.
 */
int okl4_ctl_info(struct okl4_dev *dev, u32 first_id, struct okl4fs_info_rep *info)
{
	struct okl4fs_info_req *body;
	struct okl4_req *req = okl4_req_new(OKL4FS_REQ_CHANNEL_INFO, sizeof(*body), sizeof(*info));

	if (req) {
		body = okl4_req_at(req, 0);
		body->first_id = cpu_to_le32(first_id);
	}
	return okl4_call(dev, req, READ_ONCE(okl4_request_ms), info);
}

/**
 * okl4_ctl_ping() - ask whether the host is there
 * @dev: device
 *
 * Return: as said at the head of this file.
 */
int okl4_ctl_ping(struct okl4_dev *dev)
{
	struct okl4_req *req = okl4_req_new(OKL4FS_REQ_PING, sizeof(struct okl4fs_req_hdr),
					    sizeof(struct okl4fs_rep_hdr));

	okl4_count(&dev->pings, 1);
	return okl4_call(dev, req, READ_ONCE(okl4_request_ms), NULL);
}
