/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packets.h - the messages of a connection, between its socket and the ring
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_PACKETS_H
#define OKL4FSD_ENDPOINT_STREAM_PACKETS_H

#include "endpoint/stream/way.h"

/** packets_make_room() - let the socket take as long a message as the ring does, if the system permits */
void packets_make_room(const struct stream *s);

/** packets_move_in() - as stream_move_in(); look at @s->broken afterwards */
int packets_move_in(struct stream *s);

/** packets_move_out() - as stream_move_out(); look at @s->broken afterwards */
int packets_move_out(struct stream *s);

/** packets_has_unread() - whether a message lies in a socket, be it empty */
bool packets_has_unread(int fd);

#endif
