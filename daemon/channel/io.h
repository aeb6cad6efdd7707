/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.h - moving bytes: what endpoints do with a channel
 *
 * Only between up() and down(). Errors (< 0, a negated okl4_status other than AGAIN and PIPE) have
 * already failed the channel, and down() was called: return from the callback at once.
 */
#ifndef OKL4FSD_CHANNEL_IO_H
#define OKL4FSD_CHANNEL_IO_H

#include <libfs/packet.h>

#include "channel/channel.h"

/** channel_set_open() - bring the host's ends to these states; wakes the guest when a phase changes */
void channel_set_open(struct channel *ch, bool rx, bool tx);

/** channel_peek_read() - as okl4_pipe_peek_read() on fwd */
int64_t channel_peek_read(struct channel *ch, struct okl4_pipe_seg seg[2]);

/** channel_commit_read() - as okl4_pipe_commit_read(); counts, and wakes the guest if need be */
void channel_commit_read(struct channel *ch, uint64_t bytes);

/** channel_peek_write() - as okl4_pipe_peek_write() on bwd */
int64_t channel_peek_write(struct channel *ch, struct okl4_pipe_seg seg[2]);

/** channel_commit_write() - as okl4_pipe_commit_write(); counts, and wakes the guest if need be */
void channel_commit_write(struct channel *ch, uint64_t bytes);

/*
 * On a channel with packets (struct channel_config), in place of the four above. A message's bytes are
 * reached by okl4_packet_seg() on the channel's sp.rx or sp.tx.
 */

/** channel_next_message() - as okl4_packet_next() on fwd */
int channel_next_message(struct channel *ch, uint64_t *bytes);

/** channel_take_message() - as okl4_packet_commit_read(); counts, and wakes the guest if need be */
void channel_take_message(struct channel *ch, uint64_t bytes);

/** channel_message_room() - as okl4_packet_room() on bwd; -OKL4_ARG has not failed the channel */
int channel_message_room(struct channel *ch, uint64_t bytes);

/** channel_put_message() - as okl4_packet_commit_write(); counts, and wakes the guest if need be */
void channel_put_message(struct channel *ch, uint64_t bytes);

/** channel_readable() - bytes that lie in fwd now; Return: them or an error */
int64_t channel_readable(struct channel *ch);

/** channel_writable() - room in bwd now, whether the guest reads or not; Return: bytes or an error */
int64_t channel_writable(struct channel *ch);

/** channel_wait_read() - arm before sleeping; Return: 0 sleep, 1 look again, or an error */
int channel_wait_read(struct channel *ch);

/** channel_wait_write() - likewise for @bytes of room */
int channel_wait_write(struct channel *ch, uint64_t bytes);

/**
 * struct channel_peer - the guest's end of one direction, looked up now
 * @state: never opened, open, closed
 * @phase: its phase, which also shows openings that came and went between two looks
 */
struct channel_peer {
	enum okl4_pipe_state state;
	uint64_t phase;
};

/** channel_guest_writer() - the guest's end of fwd; Return: 0 or an error */
int channel_guest_writer(struct channel *ch, struct channel_peer *peer);

/** channel_guest_reader() - the guest's end of bwd; Return: 0 or an error */
int channel_guest_reader(struct channel *ch, struct channel_peer *peer);

/**
 * struct channel_place - where the host's two ends are
 * @read_pos, @read_phase: the end of fwd
 * @write_pos, @write_phase: the end of bwd
 */
struct channel_place {
	uint64_t read_pos, read_phase, write_pos, write_phase;
};

/**
 * channel_resume() - go on at a place that the endpoint has kept, whatever the shared words say
 * @ch: usable channel
 * @place: where
 *
 * For an endpoint that does not trust the guest with its own words. Publishes the place, takes the
 * ends up there, and wakes the guest. What lies in bwd below @place->write_pos was put there before.
 *
 * Return: 0, or an error (-OKL4_RESUME_CURSORS: the guest's cursors do not go with the place).
 */
int channel_resume(struct channel *ch, const struct channel_place *place);

/**
 * channel_eof_taken() - whether the end-of-file of the present write phase has been used up
 *
 * Return: true when the host's end of bwd is closed and an opening of the guest's reader took that
 * end-of-file and has closed. The guest says so itself: if it lies, it confuses only itself.
 */
bool channel_eof_taken(const struct channel *ch);

#endif
