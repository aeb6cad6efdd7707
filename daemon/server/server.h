/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - the set of guests and the workers that serve them
 *
 * The server is what main() runs: it turns a configuration into guests, spreads them over worker
 * loops, and applies another configuration on reload. All of it is for the main thread.
 * guest_snapshot(), which may be called on any thread, says what a guest is doing right now.
 */
#ifndef OKL4FSD_SERVER_SERVER_H
#define OKL4FSD_SERVER_SERVER_H

#include <sys/queue.h>

#include "config/config.h"
#include "guest/guest.h"
#include "loop/loop.h"

struct server;

#define SERVER_WHY_BYTES     768 /* of a sentence, with its NUL */
#define SERVER_PROBLEM_BYTES 768

/**
 * server_new() - start the workers and the guests of a configuration
 * @server: out
 * @main_loop: the loop of the calling thread
 * @cfg: ownership passes here in every case
 * @config_path: the file that it came from, for server_reload(); NULL: the built-in default
 *
 * What cannot be served, a guest's socket or an endpoint, stops nothing: it is one of
 * server_problems(), with a log line, and server_reload() tries it again.
 *
 * Return: 0 or -errno, with a log line.
 */
int server_new(struct server **server, struct loop *main_loop, struct config *cfg,
	       const char *config_path);

/** server_free() - disconnect all frontends, end the workers; NULL is allowed; Return: NULL */
struct server *server_free(struct server *server);

/**
 * server_reload() - read the configuration file again and become what it says
 * @server: server
 * @errors: each error of the file is written here as a line (as config_load()), or, with 0, each
 *	of server_problems() and what a reload cannot apply
 *
 * Guests and channels that are configured as before go on undisturbed. New ones are started, gone
 * ones ended, changed ones replaced, each with a log line. A guest is replaced when its socket is
 * another one; else only its channels come and go. Guests and channels that were added at run time
 * and are not in the file end as well. When the file has an error, or joins guests that run on
 * different workers, nothing changes at all. What cannot be served, or still cannot, is one of
 * server_problems(), with a log line. Watchers are told at the end. A reload cannot change the
 * control socket's path, mode and group: a line in @errors says so.
 *
 * Return: 0, also with server_problems(); -ENOENT when there is no file (built-in default); -EXDEV: guests that run on different
 * workers would be joined; or what config_load() refused.
 */
int server_reload(struct server *server, FILE *errors);

/**
 * server_problems() - what the configuration asks for and cannot be served
 * @server: server
 * @tell: called with a sentence for each: "guest vm1: socket /s: Permission denied"; NULL: only count
 * @arg: its argument
 *
 * Return: how many there are.
 */
size_t server_problems(struct server *server, void (*tell)(void *arg, const char *sentence),
		       void *arg);

/** server_set_metrics_problem() - why metrics cannot be served where they should be; NULL: they are */
void server_set_metrics_problem(struct server *server, const char *sentence);

/**
 * server_running_text() - the running configuration as the text of a configuration file
 * @server: server
 * @text: out: what okl4fsd --config would serve in the same way; the caller frees it
 * @bytes: out: its length
 * @errors: each reason why config_load() would refuse the text is written here as a line
 *
 * Return: 0; -EINVAL: config_load() would refuse it, so it must not become a file; or -ENOMEM.
 */
int server_running_text(struct server *server, char **text, size_t *bytes, FILE *errors);

/** server_config_path() - the configuration file; NULL: the configuration is built in */
const char *server_config_path(const struct server *server);

/**
 * server_file_has_changed() - whether the configuration file holds what this server has not read
 *
 * That is, neither what it has loaded last, nor what server_saved() has seen since.
 */
bool server_file_has_changed(const struct server *server);

/**
 * server_saved() - the configuration file was replaced by what server_running_text() gives
 * @server: server
 * @errors: says why not, in a line
 *
 * Return: 0; -EINVAL: the file holds something else; or another negated errno.
 */
int server_saved(struct server *server, FILE *errors);

/**
 * struct server_watch - a watcher of reloads, called on main; the owner's storage
 * @reloading: a reload begins, or is over even if it was refused; NULL: not wanted
 * @reloaded: there is a new configuration (server_config())
 * @arg: its argument
 */
struct server_watch {
	void (*reloading)(void *arg, bool begins);
	void (*reloaded)(void *arg);
	void *arg;
	/* private */
	LIST_ENTRY(server_watch) entry;
};

/** server_watch() - begin to call a watcher */
void server_watch(struct server *server, struct server_watch *watch);

/** server_unwatch() - stop calling it */
void server_unwatch(struct server *server, struct server_watch *watch);

/**
 * server_guest_add() - serve one more guest
 * @server: server
 * @cfg: copied
 * @why: out: a sentence with the way out, or "" when there is none; SERVER_WHY_BYTES
 *
 * A guest that cannot be served in all its parts is not added.
 *
 * Return: 0; -EEXIST: a guest has that name; -EXDEV: it is to be joined to guests of different
 * workers; -EIO: it cannot be served; or another negated errno, with a log line.
 */
int server_guest_add(struct server *server, const struct guest_config *cfg, char *why);

/**
 * server_channel_add() - have a guest offer one more channel
 * @server: server
 * @guest: guest of it
 * @cfg: copied
 * @id: out: its id
 * @why: out: a sentence with the way out, or "" when there is none; SERVER_WHY_BYTES
 *
 * Return: as guest_channel_add(); -EXDEV: it would join two guests of different workers.
 */
int server_channel_add(struct server *server, struct guest *guest, const struct channel_config *cfg,
		       uint32_t *id, char *why);

/** server_guest_remove() - stop serving a guest; Return: 0, or -ENOENT */
int server_guest_remove(struct server *server, const char *name);

/** server_config() - the configuration that was loaded last, without its guests */
const struct config *server_config(const struct server *server);

/** server_n_guests() - how many guests there are */
size_t server_n_guests(const struct server *server);

/** server_find() - the guest of a name; NULL: there is none */
struct guest *server_find(struct server *server, const char *name);

/** server_guest() - the @idx-th guest, in the order of the configuration; NULL past the last */
struct guest *server_guest(struct server *server, size_t idx);

/** server_worker() - loop of the @idx-th worker; NULL past the last. Workers come, and stay */
struct loop *server_worker(const struct server *server, unsigned int idx);

/** server_n_workers() - worker threads */
unsigned int server_n_workers(const struct server *server);

/** server_instance() - what HELLO replies give as host_instance */
uint64_t server_instance(void);

/** server_version() - "0.1.0"; static memory */
const char *server_version(void);

/** server_started_us() - when server_new() was called, in microseconds since 1970 */
uint64_t server_started_us(const struct server *server);

/** server_uptime_ms() - milliseconds since server_new() */
uint64_t server_uptime_ms(const struct server *server);

#endif
