/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - the configuration file as structures
 *
 * JSON with // comments. Unknown keys, wrong types, values out of range, and duplicate names and paths
 * are refused. Every error says FILE:LINE:COLUMN and the path of the key
 * ("guests[0].channels[1].ring_bytes"), and all errors of a file are reported together.
 */
#ifndef OKL4FSD_CONFIG_CONFIG_H
#define OKL4FSD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf_node;

/** enum socket_mode - who listens on the vhost-user socket */
enum socket_mode { SOCKET_LISTEN, SOCKET_CONNECT };

/** enum guest_way - how a guest is reached */
enum guest_way {
	WAY_VHOST_USER, /* the driver okl4fs.ko, by a vhost-user device */
	WAY_SERIAL, /* a virtio-serial port for each channel: guests without the driver */
	N_GUEST_WAYS
};

/** guest_way_name() - "vhost-user", "serial"; static memory */
const char *guest_way_name(enum guest_way way);

/** enum endpoint_type - see daemon/endpoint/ */
enum endpoint_type {
	ENDPOINT_INTERVM,
	ENDPOINT_ECHO,
	ENDPOINT_DISCARD,
	ENDPOINT_UNIX_LISTEN,
	ENDPOINT_MUX_LISTEN,
	ENDPOINT_UNIX_CONNECT,
	ENDPOINT_TCP_LISTEN,
	ENDPOINT_TCP_CONNECT,
	ENDPOINT_CHANNEL,
	N_ENDPOINT_TYPES
};

/** endpoint_type_name() - "intervm", "unix-listen", ...; static memory */
const char *endpoint_type_name(enum endpoint_type type);

#define CONFIG_PEER_TIMEOUT_S     60U
#define CONFIG_PEER_TIMEOUT_MIN_S 4U
#define CONFIG_PEER_TIMEOUT_MAX_S 3600U

/**
 * struct endpoint_config - what the host end of a channel is joined to
 * @type: kind
 * @file: (intervm) path of the file to send
 * @rounds: (intervm) how many times it is sent; 2 by default as in the OKL4 example, 0: forever
 * @path: (unix-*, mux-listen) socket path; channels of one guest can share that of a mux-listen
 * @proxy: (*-connect) each connection begins with a header of the PROXY protocol, version 2
 * @mode: (unix-listen, mux-listen) permission bits, 0660 by default
 * @group: (unix-listen, mux-listen) group of the socket; NULL: the daemon's own
 * @address: (tcp-*) where to listen or connect to; address_parse() takes it
 * @peer_timeout_s: (tcp-*) a peer that answers nothing for so long is gone; CONFIG_PEER_TIMEOUT_S by
 *	default
 * @tls: (tcp-*) mutual TLS; without it @address is a loopback address
 * @tls_cert: (tcp-*) PEM file of our certificate and of the intermediate ones
 * @tls_key: (tcp-*) PEM file of its key
 * @tls_ca: (tcp-*) PEM file of the authorities that may have signed the peer's certificate
 * @tls_name: (tcp-*) the name that the peer's certificate must hold; NULL: (tcp-connect) the host of
 *	@address, (tcp-listen) any name
 * @guest: (channel) the other guest
 * @channel: (channel) its channel, whose endpoint names this one
 */
struct endpoint_config {
	enum endpoint_type type;
	char *file;
	uint32_t rounds;
	char *path;
	bool proxy;
	unsigned int mode;
	char *group;
	char *address;
	uint32_t peer_timeout_s;
	bool tls;
	char *tls_cert, *tls_key, *tls_ca, *tls_name;
	char *guest, *channel;
};

/**
 * struct channel_config - one channel
 * @name: 1 to OKL4FS_NAME_MAX bytes, no '/', not "." or ".."
 * @ring_bytes: power of two, 4 KiB to 64 MiB; 1 MiB by default, CONFIG_SESSION_RING_BYTES with sessions
 * @exclusive: one opener per end in the guest
 * @sessions: each open in the guest is a connection of its own, at most so many at once; 0: none is
 * @packets: a write is a message, and a read returns one
 * @guest_mode: permission bits of its node in the guest; OKL4FS_NOT_GIVEN by default
 * @guest_uid: owner of its node, a user id in the guest; OKL4FS_NOT_GIVEN by default
 * @guest_gid: likewise its group
 * @endpoint: host end
 */
struct channel_config {
	char *name;
	uint64_t ring_bytes;
	bool exclusive, packets;
	uint32_t sessions;
	unsigned int guest_mode;
	uint32_t guest_uid, guest_gid;
	struct endpoint_config endpoint;
};

#define CONFIG_SESSION_RING_BYTES (64ULL << 10)
#define CONFIG_SESSIONS_MAX       (OKL4FS_MAX_CHANNELS - 1U) /* beside the channel itself */

/* Of a guest: one channel of the largest ring, or 64 full ones of the usual size */
#define CONFIG_TAIL_BYTES     (64ULL << 20)
#define CONFIG_TAIL_BYTES_MAX (64ULL << 30)

/**
 * struct guest_config - one guest
 * @name: [A-Za-z0-9._-], at most 63
 * @way: how it is reached; WAY_VHOST_USER by default
 * @socket: vhost-user socket path; (WAY_SERIAL) config_port_path() begins with it
 * @socket_mode: whether the daemon listens there; SOCKET_LISTEN by default
 * @socket_perm: permission bits of a listening socket, 0660 by default
 * @socket_group: group of a listening socket, or NULL
 * @tail_bytes: how much is kept of streams whose guest has gone; CONFIG_TAIL_BYTES by default, 0: nothing
 * @channels: array
 * @n_channels: 0 to OKL4FS_MAX_CHANNELS
 */
struct guest_config {
	char *name;
	enum guest_way way;
	char *socket;
	enum socket_mode socket_mode;
	unsigned int socket_perm;
	char *socket_group;
	uint64_t tail_bytes;
	struct channel_config *channels;
	size_t n_channels;
};

/**
 * struct principals - users and groups that have a right
 * @given: the configuration names them
 * @users, @n_users: names of users
 * @groups, @n_groups: names of groups
 */
struct principals {
	bool given;
	char **users;
	size_t n_users;
	char **groups;
	size_t n_groups;
};

/**
 * struct config - all of it; owned by the caller of config_load()
 * @control_path: control socket
 * @control_mode: its permission bits, 0660 by default
 * @control_group: its group, or NULL
 * @control_idle_seconds: after which a client that asks nothing is disconnected; 300 by default, 0: never
 * @control_readers: users and groups that may call the methods that only report
 * @control_admins: users and groups that may call every method
 * @metrics_listen: loopback address (address_parse()) or "unix:PATH"; NULL: no metrics are served
 * @guests: array
 * @n_guests: 0 or more
 * @digest: of the text that it was read from (config_digest()); 0: it is built in
 */
struct config {
	char *control_path;
	unsigned int control_mode;
	char *control_group;
	uint32_t control_idle_seconds;
	struct principals control_readers, control_admins;
	char *metrics_listen;
	struct guest_config *guests;
	size_t n_guests;
	uint64_t digest;
};

/** config_new() - one that has all by default, and no guests; Return: NULL: there is no memory */
struct config *config_new(void);

/**
 * config_load() - read and check a file
 * @cfg: out; nothing to free after an error
 * @path: file
 * @errors: each error is written here as a line
 *
 * Return: 0, -EINVAL when the content was refused, or the negated errno of reading it; a line says why.
 */
int config_load(struct config **cfg, const char *path, FILE *errors);

/**
 * config_load_nodes() - as config_load(), and keep what the file says with its places
 * @nodes: out: the tree (config/node.h), in which relative paths are completed; conf_free() it
 */
int config_load_nodes(struct config **cfg, struct conf_node **nodes, const char *path,
		      FILE *errors);

/**
 * config_parse() - likewise from a text
 * @cfg: out; nothing to free after an error
 * @text: what a file would hold
 * @bytes: its length
 * @name: what errors call it
 * @errors: each error is written here as a line
 *
 * Return: 0, -EINVAL when the text was refused, or -ENOMEM; a line says why.
 */
int config_parse(struct config **cfg, const char *text, size_t bytes, const char *name,
		 FILE *errors);

#define CONFIG_MAX_BYTES (1UL << 20) /* of a file */

/** config_digest() - tells texts apart, by accident not by intent; never 0 */
uint64_t config_digest(const char *text, size_t bytes);

/** config_file_digest() - of a file's content; Return: 0 or a negated errno */
int config_file_digest(const char *path, uint64_t *digest);

struct json_object;

/* Parts of a configuration as JSON, without what is as by default (write.c). Return: a new object */
struct json_object *config_json(const struct config *cfg);
struct json_object *config_guest_json(const struct guest_config *guest);
struct json_object *config_channel_json(const struct channel_config *channel);

/**
 * config_use_control_socket() - use this control socket, whatever a configuration says
 * @path: where the service manager listens for us; not longer than a socket's path may be
 *
 * For every configuration that is loaded from now on. If it names another path, the log says so. Files that
 * are kept next to the control socket are kept next to this one.
 */
void config_use_control_socket(const char *path);

/**
 * config_paths_begin_at() - relative paths begin in the folder of this control socket
 * @control_path: of this process
 *
 * For every configuration, guest and channel from now on. Before, the control socket of the configuration
 * itself counts. Without a slash in it, relative paths stay as they are.
 */
void config_paths_begin_at(const char *control_path);

/**
 * config_default() - what runs without a file: guest `default`, channel `intervm_test`, endpoint
 * `unix-listen`, all sockets under config_runtime_dir()
 * @cfg: out
 *
 * Return: 0 or -ENOMEM.
 */
int config_default(struct config **cfg);

/* Where the system's daemon puts its sockets by default */
#define CONFIG_SYSTEM_DIR "/run/okl4fs"

/** config_runtime_dir() - $XDG_RUNTIME_DIR/okl4fs for a user that has one, else /run/okl4fs; static memory */
const char *config_runtime_dir(void);

/** config_free() - NULL is allowed; Return: NULL */
struct config *config_free(struct config *cfg);

/**
 * config_channel_of() - read and check one channel, written as in a file
 * @channel: out; config_channel_deinit() it when this returns 0
 * @guest: the guest that it is for; NULL: one with the driver
 * @node: the channel; it loses its parent, so that the paths in errors begin here
 * @errors: each error is written here as a line, without a place in the text
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int config_channel_of(struct channel_config *channel, const struct guest_config *guest,
		      struct conf_node *node, FILE *errors);

/** config_guest_of() - likewise for a guest; config_guest_deinit() it */
int config_guest_of(struct guest_config *guest, struct conf_node *node, FILE *errors);

/** config_channel_copy() - a copy with strings of its own; Return: 0, or -ENOMEM with nothing to free */
int config_channel_copy(struct channel_config *to, const struct channel_config *from);

/** config_channel_deinit() - free what belongs to it */
void config_channel_deinit(struct channel_config *channel);

/** config_channel_equal() - whether everything of two channels is equal */
bool config_channel_equal(const struct channel_config *a, const struct channel_config *b);

/** config_guest_copy() - likewise, but without channels */
int config_guest_copy(struct guest_config *to, const struct guest_config *from);

/** config_guest_deinit() - free what belongs to it */
void config_guest_deinit(struct guest_config *guest);

/**
 * config_port_path() - (WAY_SERIAL) where the unix socket of a channel's port is: SOCKET.NAME
 *
 * Return: a new string, or NULL: there is no memory.
 */
char *config_port_path(const struct guest_config *guest, const char *channel);

/** config_guest_equal() - whether two guests are equal but for channels and tail_bytes, which can change while
 * the guest runs */
bool config_guest_equal(const struct guest_config *a, const struct guest_config *b);

#endif
