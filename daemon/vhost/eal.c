/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eal.c - DPDK's environment, reduced to what its vhost library needs: some heap
 */
#include <errno.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_version.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"
#include "vhost/eal.h"
#include "vhost/syscalls.h"

/* Virtual: pages of it that are not used cost nothing. A frontend that asks for 17 queues of 32768
 * entries takes 20 MiB of it. */
#define EAL_HEAP_MIB "128"

static enum log_level eal_log_level = LOG_LEVEL_WARNING;

/**
 * eal_log_write() - DPDK's lines into our log
 * @cookie: unused
 * @buf: a line
 * @bytes: its bytes
 *
 * Return: @bytes.
 */
static ssize_t eal_log_write(void *cookie, const char *buf, size_t bytes)
{
	size_t n = bytes;

	while (n && buf[n - 1] == '\n')
		n--;
	if (n)
		log_line(eal_log_level, "dpdk: %.*s", (int)n, buf);
	return (ssize_t)bytes;
}

/**
 * eal_lcores() - one lcore that may run wherever this process may
 * @out: room for the argument of --lcores
 * @bytes: its bytes
 *
 * Otherwise there would be a thread a CPU, and main would be bound to one.
 *
 * Return: 0 or -errno.
 */
static int eal_lcores(char *out, size_t bytes)
{
	size_t n = (size_t)snprintf(out, bytes, "0@(");
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return -errno;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &cpus) && n < bytes)
			n += (size_t)snprintf(out + n, bytes - n, "%s%d",
					      out[n - 1] == '(' ? "" : ",", i);
	}
	if (n < bytes)
		n += (size_t)snprintf(out + n, bytes - n, ")");
	return n < bytes ? 0 : -E2BIG;
}

/**
 * eal_start() - rte_eal_init() with our arguments
 *
 * Return: 0 or -EIO, with a log line.
 */
static int eal_start(void)
{
	static char arg[][32] = { "okl4fsd",
				  "--no-huge",
				  "--no-shconf",
				  "--no-pci",
				  "--no-telemetry",
				  "--iova-mode=va",
				  "-m",
				  EAL_HEAP_MIB,
				  "--log-level=*:warning",
				  "--log-level=lib.vhost.*:error",
				  "--lcores" };
	enum { N_ARGS = sizeof(arg) / sizeof(arg[0]) };
	static char lcores[8192], *argv[N_ARGS + 2];
	cookie_io_functions_t io = { .write = eal_log_write };
	FILE *stream = fopencookie(NULL, "w", io);

	if (stream) {
		setvbuf(stream, NULL, _IOLBF, 1024);
		rte_openlog_stream(stream);
	}
	for (int i = 0; i < N_ARGS; i++)
		argv[i] = arg[i];
	argv[N_ARGS] = lcores;
	if (eal_lcores(lcores, sizeof(lcores)) || rte_eal_init(N_ARGS + 1, argv) < 0) {
		log_err("DPDK does not start: %s", rte_strerror(rte_errno));
		return -EIO;
	}
	/* From here on it speaks of frontends only, of whom we speak ourselves. */
	eal_log_level = LOG_LEVEL_DEBUG;
	return 0;
}

int vhost_eal_init(void)
{
	sigset_t old;
	int r;

	/* struct vhost_message and syscalls.c know the inside of this version. */
	if (strncmp(rte_version(), "DPDK 22.11", 10) != 0) {
		log_err("this DPDK is %s; its vhost library must be that of 22.11", rte_version());
		return -ENOTSUP;
	}
	r = vhost_syscalls_init();
	if (r)
		return r;
	vhost_eal_mask_signals(&old);
	r = eal_start();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

void vhost_eal_mask_signals(sigset_t *old)
{
	sigset_t block;

	sigfillset(&block);
	sigdelset(&block, SIGBUS);
	sigdelset(&block, SIGSEGV);
	sigdelset(&block, SIGILL);
	sigdelset(&block, SIGFPE);
	pthread_sigmask(SIG_BLOCK, &block, old);
}
