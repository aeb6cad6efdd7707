/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * okl4fsd: argv, set up, run.
 *
 * The main loop takes all signals; every other thread blocks them.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "loop/events.h"
#include "metrics/http.h"
#include "control/socket.h"
#include "server/server.h"
#include "server/try.h"
#include "service/service.h"
#include "vhost/sigbus.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/store.h"
#include "util/stranger_mark.h"

/* As in sysexits(3), whose names systemctl shows. The units do not restart the daemon after these. */
#define EXIT_USAGE   2
#define EXIT_CONTROL 73 /* EX_CANTCREAT: there is no control socket */
#define EXIT_CONFIG  78 /* EX_CONFIG: the configuration has errors */

/**
 * struct options - the command line
 * @config: configuration file, or NULL
 * @check: only check it
 * @only_file: and nothing but the file
 * @user: as this user, or NULL
 */
struct options {
	const char *config;
	bool check, only_file;
	const char *user;
};

/**
 * struct daemon - what runs
 * @loop: main loop
 * @control: control socket
 * @server: guests and workers
 * @control_server: serves the control socket
 * @metrics: metrics over HTTP, or NULL
 * @metrics_listen: where they are served; NULL: nowhere
 * @watch: called after a reload
 * @service: reports to the service manager
 * @signal: events on SIGTERM, SIGINT and SIGHUP
 */
struct daemon {
	struct loop *loop;
	struct control_socket control;
	struct server *server;
	struct control *control_server;
	struct metrics_http *metrics;
	char *metrics_listen;
	struct server_watch watch;
	struct service *service;
	struct event *signal[3];
};

static const char usage[] =
	"Usage: okl4fsd [--config FILE] [--check[=file]] [--user NAME] [--log-level LEVEL]\n"
	"The host end of okl4fs: serves QEMU guests over vhost-user.\n"
	"\n"
	"  -c, --config FILE      what to serve; without it one guest `default` with one channel\n"
	"                         `intervm_test`, under $XDG_RUNTIME_DIR/okl4fs or /run/okl4fs\n"
	"      --check[=file]     check the configuration, and what a start with it would find: folders,\n"
	"                         files, groups, ports; report errors, and exit. file: only the file\n"
	"      --user NAME        with --check, for root: as this user; by default okl4fs, for the service's\n"
	"                         configuration in its sandbox\n"
	"  -l, --log-level LEVEL  err, warning, notice, info (default) or debug\n"
	"  -V, --version          print the version and exit\n"
	"  -h, --help             print this and exit\n"
	"\n"
	"SIGHUP reloads the configuration, SIGTERM and SIGINT end the daemon.\n"
	"A guest or a channel that cannot be served stops nothing: okl4fsctl status says why.\n"
	"Exit status: 0 ended cleanly, 1 an error, which was reported, 2 usage, 73 there is no control\n"
	"socket, 78 the configuration has errors.\n";

/* Return: -1 to go on, else the exit status */
static int parse_command_line(int argc, char **argv, struct options *opt)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", optional_argument, NULL, 'k' },
		{ "user", required_argument, NULL, 'u' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	enum log_level level;
	int c;

	while ((c = getopt_long(argc, argv, "c:l:Vh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt->config = optarg;
			break;
		case 'k':
			opt->check = true;
			opt->only_file = optarg;
			if (!optarg || !strcmp(optarg, "file"))
				break;
			fprintf(stderr, "okl4fsd: --check=%s: it is --check or --check=file\n",
				optarg);
			return EXIT_USAGE;
		case 'u':
			opt->user = optarg;
			break;
		case 'l':
			if (log_level_parse(optarg, &level)) {
				fprintf(stderr,
					"okl4fsd: there is no log level \"%s\": it is err, "
					"warning, notice, info or debug\n",
					optarg);
				return EXIT_USAGE;
			}
			log_set_level(level);
			break;
		case 'V':
			printf("okl4fsd %s\n", server_version());
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("okl4fsd: see okl4fsd --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "okl4fsd: unexpected argument: %s; see okl4fsd --help\n", argv[optind]);
	return EXIT_USAGE;
}

/* All users may look into /run/okl4fs: each socket has its own mode. Its user reports errors */
static void make_runtime_dir(void)
{
	const char *dir = config_runtime_dir();

	if (mkdir(dir, strncmp(dir, "/run/okl4fs", 11) ? 0700 : 0755) && errno != EEXIST)
		log_debug("cannot make %s: %s", dir, strerror(errno));
}

/* A guest takes some eighty descriptors */
static void raise_limits(void)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	log_event(LOG_LEVEL_NOTICE, LOG_EVENT_ENDING, "ending, because of a signal: %s",
		  strsignal(sig));
	notify("STOPPING=1");
	loop_stop(d->loop);
}

static void log_errors(char *text)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			log_err("%s", line);
	}
	free(text);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	char *text = NULL;
	size_t bytes = 0;
	FILE *errors = open_memstream(&text, &bytes);
	int r;

	if (!errors)
		return;
	r = server_reload(d->server, errors);
	fclose(errors);
	if (!r) { /* what cannot be served was logged when it was tried */
		free(text);
		return;
	}
	log_errors(text);
	log_event(LOG_LEVEL_ERR, LOG_EVENT_RELOAD_REFUSED, "reload: nothing was changed");
}

static int watch_signals(struct daemon *d)
{
	static const int sig[] = { SIGTERM, SIGINT, SIGHUP };
	struct event_base *base = loop_base(d->loop);

	for (int i = 0; i < 3; i++) {
		d->signal[i] =
			evsignal_new(base, sig[i], sig[i] == SIGHUP ? on_reload : on_stop, d);
		if (!d->signal[i] || event_add(d->signal[i], NULL))
			return -ENOMEM;
	}
	return 0;
}

/* The service manager's socket wins over the configuration's. Return: -ENOENT when there is none */
static int take_control_socket(void)
{
	int fd = notify_take_fds("control", store_inherit);
	struct sockaddr_un at = { 0 };
	socklen_t bytes = sizeof(at);
	char path[sizeof(at.sun_path) + 1];

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &bytes) || !at.sun_path[0])
		return fd;
	stranger_mark(fd);
	snprintf(path, sizeof(path), "%.*s", (int)sizeof(at.sun_path), at.sun_path);
	config_use_control_socket(path);
	return fd;
}

/* The old server ends only once the new one serves. What cannot be served is one of the server's problems */
static void serve_metrics(struct daemon *d)
{
	const char *listen = server_config(d->server)->metrics_listen;
	struct metrics_http *metrics;
	char *copy = listen ? strdup(listen) : NULL;
	char why[SERVER_PROBLEM_BYTES / 2], problem[SERVER_PROBLEM_BYTES];
	int r;

	log_keep(why, sizeof(why));
	r = listen && !copy ? -ENOMEM : metrics_http_new(&metrics, d->loop, d->server);
	log_keep(NULL, 0);
	if (r) {
		snprintf(problem, sizeof(problem), "%s%s%s", *why ? why : "metrics: out of memory",
			 d->metrics ? "; they are served as before at " : "",
			 d->metrics ? d->metrics_listen : "");
		server_set_metrics_problem(d->server, problem);
		free(copy);
		return;
	}
	server_set_metrics_problem(d->server, NULL);
	metrics_http_free(d->metrics);
	free(d->metrics_listen);
	d->metrics = metrics;
	d->metrics_listen = copy;
}

static void on_reloaded(void *arg)
{
	struct daemon *d = arg;
	const char *listen = server_config(d->server)->metrics_listen;
	char why[SERVER_PROBLEM_BYTES];

	if (listen && d->metrics_listen ? !strcmp(listen, d->metrics_listen) :
					  listen == d->metrics_listen) {
		log_keep(why, sizeof(why));
		metrics_http_reloaded(d->metrics);
		log_keep(NULL, 0);
		server_set_metrics_problem(d->server, *why ? why : NULL);
		return;
	}
	serve_metrics(d);
}

/* server_watch's reloading: the service manager is told */
static void on_reloading(void *arg, bool begins)
{
	if (begins)
		notify_reloading();
	else
		notify("READY=1");
}

static void open_metrics(struct daemon *d)
{
	d->watch = (struct server_watch){ .reloading = on_reloading,
					  .reloaded = on_reloaded,
					  .arg = d };
	server_watch(d->server, &d->watch);
	serve_metrics(d);
}

static void tell_ready(struct daemon *d)
{
	size_t n = server_n_guests(d->server), n_problems = server_problems(d->server, NULL, NULL);

	log_event(LOG_LEVEL_NOTICE, LOG_EVENT_READY,
		  "okl4fsd %s: ready, %zu guest%s, control socket %s", server_version(), n,
		  n == 1 ? "" : "s", server_config(d->server)->control_path);
	if (n_problems)
		log_warning("%zu problem%s with the configuration; okl4fsctl status lists %s",
			    n_problems, n_problems == 1 ? "" : "s",
			    n_problems == 1 ? "it" : "them");
}

/* @cfg is consumed; Return: the exit status */
static int run_daemon(struct config *cfg, const char *path, int control_fd)
{
	struct daemon d = { 0 };
	int r;

	if (control_socket_open(&d.control, cfg, control_fd)) {
		config_free(cfg);
		return EXIT_CONTROL;
	}
	r = loop_new(&d.loop, "main");
	if (r) {
		control_socket_close(&d.control);
		config_free(cfg);
		return EXIT_FAILURE;
	}
	r = watch_signals(&d);
	if (!r)
		r = events_open(d.loop);
	if (r)
		config_free(cfg);
	else
		r = server_new(&d.server, d.loop, cfg, path);
	if (!r)
		store_sweep();
	if (!r)
		r = control_new(&d.control_server, d.loop, d.server, &d.control);
	if (!r) {
		open_metrics(&d);
		tell_ready(&d);
		r = service_new(&d.service, d.loop, d.server);
	}
	if (!r)
		r = loop_run(d.loop);
	service_free(d.service);
	metrics_http_free(d.metrics);
	free(d.metrics_listen);
	control_free(d.control_server);
	server_free(d.server);
	events_close();
	for (int i = 0; i < 3; i++) {
		if (d.signal[i])
			event_free(d.signal[i]);
	}
	loop_free(d.loop);
	control_socket_close(&d.control);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

static struct config *load_config(const struct options *opt)
{
	struct config *cfg = NULL;
	char *text = NULL;
	size_t bytes = 0;
	FILE *errors = open_memstream(&text, &bytes);
	int r = -ENOMEM;

	if (errors)
		r = opt->config ? config_load(&cfg, opt->config, errors) : config_default(&cfg);
	if (errors)
		fclose(errors);
	log_errors(text);
	if (r && !opt->config)
		log_err("the default configuration: %s", strerror(-r));
	return cfg;
}

/* Return: the exit status */
static int serve_guests(const struct options *opt)
{
	int control_fd = take_control_socket();
	struct config *cfg;

	if (control_fd < 0 && control_fd != -ENOENT)
		return EXIT_CONTROL;
	cfg = load_config(opt);
	if (!cfg)
		return EXIT_CONFIG;
	raise_limits();
	if (sigbus_init()) {
		config_free(cfg);
		return EXIT_FAILURE;
	}
	make_runtime_dir();
	return run_daemon(cfg, opt->config, control_fd);
}

/* Return: the exit status */
static int check_config(const struct options *opt)
{
	return server_try(opt->config, opt->user, opt->only_file) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };
	int r = fd_open_standard();

	if (r)
		return EXIT_FAILURE; /* there may be no stderr to report it on */
	r = parse_command_line(argc, argv, &opt);
	if (r >= 0)
		return r;
	if (opt.check)
		return check_config(&opt);
	signal(SIGPIPE, SIG_IGN);
	r = log_start();
	if (r) {
		log_err("cannot start the thread that writes the log: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = serve_guests(&opt);
	log_stop();
	return r;
}
