/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscalls.h - what DPDK's vhost thread asks of the C library, asked a little differently
 *
 * DPDK 22.11 waits in poll(2) for one second at a time, for ever, and takes whatever descriptors a
 * frontend sends with whatever message. librte_vhost calls __poll_chk(), recvmsg(), read() and
 * sendmsg() like any library; this program defines them, so the dynamic linker binds those calls
 * here (elf(5); our definitions are exported because libraries on the link line refer to them).
 * Every other caller gets what the C library does.
 */
#ifndef OKL4FSD_VHOST_SYSCALLS_H
#define OKL4FSD_VHOST_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_post;

/** vhost_syscalls_init() - before DPDK makes its thread; Return: 0 or -errno */
int vhost_syscalls_init(void);

/**
 * vhost_poke() - let DPDK's vhost thread look at its set of descriptors again
 *
 * To be called after the set was changed from another thread: what the timeout was for. Any thread.
 */
void vhost_poke(void);

/**
 * vhost_probe() - have a sign of life of DPDK's vhost thread
 * @loop: where it goes; the same each time
 * @answer: posted there when the thread has gone once round, from one wait to the next
 *
 * Not again before it was posted. Any thread, it does not wait.
 *
 * Return: false when there is no such thread: DPDK makes it for the first socket.
 */
bool vhost_probe(struct loop *loop, struct loop_post *answer);

/** vhost_unprobe() - @answer is not posted from now on, though it may have been; any thread */
void vhost_unprobe(struct loop *loop, struct loop_post *answer);

/**
 * vhost_current_socket() - the frontend's socket that the message being handled came from
 *
 * Return: the descriptor (DPDK's: dup(2) it to keep it); -1 outside of a message callback.
 */
int vhost_current_socket(void);

/**
 * vhost_take_request() - the request whose head was read last on this thread
 *
 * Return: the request, once; 0: none, or it was taken before. One that is still there when the
 * connection ends never came as far as a callback.
 */
uint32_t vhost_take_request(void);

/** vhost_answer_lost() - whether the frontend has not taken the answer to the message being handled */
bool vhost_answer_lost(void);

#endif
