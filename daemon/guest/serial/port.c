// SPDX-License-Identifier: BSD-3-Clause
/*
 * A machine that ends may leave bytes in its socket that fwd has no room for. They are still taken as
 * long as somebody reads at the host's end; else they are counted as lost. A machine that comes
 * meanwhile waits in @next_fd.
 */
#include "guest/serial/port.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "channel/report.h"
#include "endpoint/stream/unix_attempt.h"
#include "guest/serial/pump.h"
#include "loop/unix_place.h"
#include "util/fd.h"
#include "vhost/connector.h"

/**
 * struct serial_port - see port.h
 * @guest, @changed, @arg: as given to serial_port_new()
 * @ch: the channel; NULL: not started
 * @about: what log lines are about
 * @limit: of log lines that a machine can cause
 * @path: of the socket
 * @place: (listen)
 * @connector: (connect)
 * @pump: moves the bytes; its fd is negative while QEMU is away
 * @turn: one of its turns
 * @hup_fd, @hup_ev: tell that QEMU has hung up
 * @hung_up: it has
 * @failed: the channel has failed, and is to have new memory
 * @next_fd: a machine that waits until what the former one has left is taken; -1: none
 */
struct serial_port {
	const struct guest_config *guest;
	void (*changed)(void *arg, bool there);
	void *arg;
	struct channel *ch;
	struct log_about about;
	struct log_limit limit;
	char *path;
	struct unix_place place;
	struct vhost_connector connector;
	struct serial_pump pump;
	struct loop_task turn;
	int hup_fd;
	struct event *hup_ev;
	bool hung_up, failed;
	int next_fd;
};

static void take_machine(void *arg, int fd);

static bool is_there(const struct serial_port *port)
{
	return port->pump.fd >= 0;
}

static void stop_pump(struct serial_port *port)
{
	if (!is_there(port))
		return;
	if (port->hup_ev)
		event_free(port->hup_ev);
	port->hup_ev = NULL;
	port->hup_fd = fd_close(port->hup_fd);
	serial_pump_stop(&port->pump);
	loop_cancel(port->ch->loop, &port->turn);
	port->hung_up = port->failed = false;
	port->changed(port->arg, false);
}

static void machine_left(struct serial_port *port, const char *why)
{
	int next = port->next_fd;

	log_limited(&port->limit, LOG_LEVEL_INFO, &port->about, "the port's connection has ended%s",
		    why);
	port->next_fd = -1;
	stop_pump(port);
	if (next >= 0)
		take_machine(port, next);
	else
		vhost_connector_try_later(&port->connector);
}

/* Whether a machine that has hung up has left what nobody will take */
static bool is_rest_lost(struct serial_port *port)
{
	if (!port->hung_up || serial_pump_is_read(&port->pump))
		return false;
	channel_note_loss(port->ch, serial_pump_left(&port->pump),
			  "nobody reads them, and the port's connection has ended");
	return true;
}

static void run_turn(void *arg)
{
	struct serial_port *port = arg;

	if (port->failed) {
		port->failed = false;
		if (serial_pump_restart(&port->pump)) {
			machine_left(port, ": the channel cannot begin again");
			return;
		}
	}
	switch (serial_pump_turn(&port->pump)) {
	case SERIAL_PUMP_AGAIN:
		loop_schedule(port->ch->loop, &port->turn);
		break;
	case SERIAL_PUMP_ENDED:
		machine_left(port, "");
		break;
	case SERIAL_PUMP_SLEEPS:
		if (is_rest_lost(port))
			machine_left(port, "");
		break;
	}
}

static void on_ready(void *arg)
{
	struct serial_port *port = arg;

	channel_begin_turn(port->ch);
	run_turn(port);
}

/* From here on the pump looks for the end of what has come */
static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	struct serial_port *port = arg;

	event_del(port->hup_ev);
	port->hung_up = true;
	run_turn(port);
}

static int watch_machine(struct serial_port *port)
{
	port->hup_fd = fd_hang_up_set(port->pump.fd);
	if (port->hup_fd >= 0)
		port->hup_ev = event_new(loop_base(port->ch->loop), port->hup_fd,
					 EV_READ | EV_PERSIST, on_hup, port);
	return port->hup_ev && !event_add(port->hup_ev, NULL) ? 0 : -ENOMEM;
}

static void begin(struct serial_port *port, int fd)
{
	int r = serial_pump_start(&port->pump, port->ch, fd, on_ready, port);

	if (r) {
		log_limited(&port->limit, LOG_LEVEL_ERR, &port->about,
			    "the port's connection is dropped: %s",
			    r == -ENOMEM ? strerror(ENOMEM) : okl4_status_text(-r));
		vhost_connector_try_later(&port->connector);
		return;
	}
	log_limited(&port->limit, LOG_LEVEL_INFO, &port->about, "the port is connected");
	port->changed(port->arg, true);
	if (watch_machine(port))
		machine_left(port, ": out of memory or descriptors");
	else
		loop_schedule(port->ch->loop, &port->turn);
}

static void take_machine(void *arg, int fd)
{
	struct serial_port *port = arg;

	if (!is_there(port)) {
		begin(port, fd);
	} else if (port->hung_up && port->next_fd < 0) {
		port->next_fd = fd;
	} else {
		log_limited(&port->limit, LOG_LEVEL_WARNING, &port->about,
			    "a second connection to the port is turned away");
		close(fd);
	}
}

struct serial_port *serial_port_new(const struct guest_config *guest, const char *name,
				    void (*changed)(void *arg, bool there), void *arg)
{
	struct serial_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->guest = guest;
	port->changed = changed;
	port->arg = arg;
	port->about = (struct log_about){ .guest = guest->name, .channel = name };
	port->pump.fd = port->hup_fd = port->next_fd = -1;
	port->turn = (struct loop_task){ .fn = run_turn, .arg = port };
	port->path = config_port_path(guest, name);
	if (port->path)
		return port;
	free(port);
	return NULL;
}

int serial_port_start(struct serial_port *port, struct channel *ch)
{
	int r;

	port->ch = ch;
	if (port->guest->socket_mode == SOCKET_LISTEN) {
		port->place = (struct unix_place){
			.loop = ch->loop,
			.about = port->about,
			.what = "port",
			.path = port->path,
			.mode = port->guest->socket_perm,
			.group = port->guest->socket_group,
			.kind = FD_UNIX_STREAM,
			.come = take_machine,
			.arg = port,
		};
		return unix_place_listen(&port->place);
	}
	r = unix_attempt_check(&port->about, "port", port->path);
	if (r)
		return r;
	r = vhost_connector_init(&port->connector, ch->loop, port->path, &port->about, take_machine,
				 port);
	if (!r)
		vhost_connector_try(&port->connector);
	return r;
}

void serial_port_pump(struct serial_port *port)
{
	serial_pump_turn(&port->pump);
}

struct serial_port *serial_port_free(struct serial_port *port)
{
	if (!port)
		return NULL;
	unix_place_leave(&port->place);
	vhost_connector_deinit(&port->connector);
	port->next_fd = fd_close(port->next_fd);
	stop_pump(port);
	free(port->path);
	free(port);
	return NULL;
}

void serial_port_reloaded(struct serial_port *port)
{
	if (serial_port_is_lost(port))
		unix_place_reloaded(&port->place);
}

const char *serial_port_path(const struct serial_port *port)
{
	return port->path;
}

bool serial_port_is_lost(const struct serial_port *port)
{
	return port->place.file.path && unix_place_is_lost(&port->place);
}

int serial_port_why_away(const struct serial_port *port)
{
	return port->connector.why_not;
}

static void ring_port(void *arg, uint32_t id)
{
	struct serial_port *port = arg;

	loop_schedule(port->ch->loop, &port->turn);
}

/* The channel has failed: an operator has reset it. Its memory is let go; the connection stays */
static void tell_port(void *arg, const struct channel *ch, enum okl4_status status)
{
	struct serial_port *port = arg;

	port->failed = true;
	loop_schedule(port->ch->loop, &port->turn);
}

const struct channel_guest_ops serial_port_ops = { .ring = ring_port, .tell = tell_port };
