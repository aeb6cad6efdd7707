/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event_kinds.h - the kinds of events
 *
 * The daemon's enumerators and names are made from this list, and so is what okl4fsctl(1) says of
 * them.
 */
#ifndef OKL4FSD_UTIL_EVENT_KINDS_H
#define OKL4FSD_UTIL_EVENT_KINDS_H

/**
 * EVENT_KINDS() - all of them
 * @X: called with the kind's name in enumerators, its name, and what it means, in one line
 */
#define EVENT_KINDS(X)                                                                         \
	X(GUEST_ADDED, "guest.added", "the daemon serves the guest")                           \
	X(GUEST_REMOVED, "guest.removed", "it no longer serves the guest")                     \
	X(GUEST_CONNECTED, "guest.connected", "its virtual machine has connected")             \
	X(GUEST_READY, "guest.ready", "its driver has said hello")                             \
	X(GUEST_RESET, "guest.reset", "its driver has reset the device")                       \
	X(GUEST_BROKEN, "guest.broken", "it broke the rules; the device stops")                \
	X(GUEST_GONE, "guest.gone", "its virtual machine has disconnected")                    \
	X(CHANNEL_ADDED, "channel.added", "the guest is offered one more channel")             \
	X(CHANNEL_REMOVED, "channel.removed", "it is no longer offered the channel")           \
	X(CHANNEL_ATTACHED, "channel.attached", "the guest uses the channel")                  \
	X(CHANNEL_OPENED, "channel.opened", "a program in the guest has opened the channel")   \
	X(CHANNEL_SUSPENDED, "channel.suspended", "its memory is away for now")                \
	X(CHANNEL_DETACHED, "channel.detached", "its memory is away for good")                 \
	X(CHANNEL_FAILED, "channel.failed", "the guest broke its rules, or it was reset")      \
	X(CHANNEL_RESET, "channel.reset", "an operator has reset the channel")                 \
	X(CHANNEL_LOST, "channel.lost", "bytes that the guest wrote are lost")                 \
	X(ENDPOINT_CONNECTED, "endpoint.connected", "a program at the host end has connected") \
	X(ENDPOINT_DISCONNECTED, "endpoint.disconnected", "it has disconnected")               \
	X(ENDPOINT_TAKEN, "endpoint.taken", "whether the guest has taken all that it sent")    \
	X(CONFIG_RELOADED, "config.reloaded", "the configuration was read again")              \
	X(CONFIG_REFUSED, "config.refused", "the configuration has errors")                    \
	X(LOG_CHANGED, "log.changed", "the log level was changed")

#endif
