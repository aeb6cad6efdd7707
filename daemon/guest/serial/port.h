/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port.h - the virtio-serial port of a channel, for a guest without the driver
 *
 * QEMU joins a `virtserialport` of the guest to a unix socket, and the daemon is at the socket's other
 * end. A connection there is to the channel what an attached memory is: while there is none, the guest
 * is away.
 */
#ifndef OKL4FSD_GUEST_SERIAL_PORT_H
#define OKL4FSD_GUEST_SERIAL_PORT_H

#include "channel/channel.h"
#include "config/config.h"

struct serial_port;

extern const struct channel_guest_ops serial_port_ops;

/**
 * serial_port_new() - a port that does not look for QEMU yet
 * @guest: borrowed
 * @name: of the channel; borrowed
 * @changed: QEMU has connected (@there), or has left
 * @arg: its argument
 *
 * It is the argument of serial_port_ops. All functions here run on the guest's worker.
 *
 * Return: it, or NULL: there is no memory.
 */
struct serial_port *serial_port_new(const struct guest_config *guest, const char *name,
				    void (*changed)(void *arg, bool there), void *arg);

/**
 * serial_port_start() - listen for QEMU, or connect to it as soon as it listens
 * @port: port
 * @ch: its channel, which has its endpoint; borrowed
 *
 * Return: 0 or -errno, with a log line that says what and where.
 */
int serial_port_start(struct serial_port *port, struct channel *ch);

/** serial_port_pump() - move what can be moved at once: the channel is about to be removed */
void serial_port_pump(struct serial_port *port);

/** serial_port_free() - QEMU's connection ends, and the guest is gone; NULL is allowed; Return: NULL */
struct serial_port *serial_port_free(struct serial_port *port);

/** serial_port_reloaded() - listen again where the socket's file was lost, with a log line */
void serial_port_reloaded(struct serial_port *port);

/** serial_port_path() - of its socket */
const char *serial_port_path(const struct serial_port *port);

/** serial_port_is_lost() - somebody has removed or replaced the socket's file */
bool serial_port_is_lost(const struct serial_port *port);

/** serial_port_why_away() - (connect) errno of the last attempt to reach QEMU; 0: it succeeded */
int serial_port_why_away(const struct serial_port *port);

#endif
