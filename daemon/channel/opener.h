/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opener.h - which programs in the guest have a channel open
 *
 * The guest says so in the shared words (okl4_opener_shm), and nothing vouches for it.
 */
#ifndef OKL4FSD_CHANNEL_OPENER_H
#define OKL4FSD_CHANNEL_OPENER_H

#include "channel/tails.h"

/**
 * channel_look_openers() - see whether the guest has opened an end since the last look
 * @ch: attached channel
 *
 * Keeps the copies in @ch->writer and @ch->reader, and posts an event, unless there were too many.
 */
void channel_look_openers(struct channel *ch);

/**
 * channel_opener() - the program that a connection made now is for
 * @ch: channel
 * @end: out: "writer", "reader" or "both": what it has opened
 *
 * The writer goes before the reader, and one that has an end open before one that has closed it and
 * left bytes.
 *
 * Return: the program; NULL when the guest has not told it, or is gone (channel_has_tail()).
 */
const struct okl4_opener *channel_opener(struct channel *ch, const char **end);

#endif
