// SPDX-License-Identifier: BSD-3-Clause
/*
 * libfs_pair.c - cat through a channel: one process copies its standard input into the channel,
 * another one copies what comes out of it to its standard output
 *
 *	cc libfs_pair.c $(pkg-config --cflags --libs libokl4fs) -o libfs_pair
 *	./libfs_pair <file | cmp file
 *
 * The channel lies in memory that both share. Each process has an eventfd that wakes it.
 */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libfs/socketpair.h>

#define CTL_BYTES  OKL4FS_CTL_BYTES_MIN
#define RING_BYTES 65536ULL
#define INSTANCE   1 /* where memory is shared for longer, a random number */

/* The three memsections, each of one chunk */
static void *chunk[3];
static struct okl4_memsec ctl, fwd, bwd;

/* The writer writes to_reader when there are bytes; the reader writes to_writer when there is room */
static int to_reader, to_writer;

static int64_t check(int64_t status)
{
	if (status < 0 && status != -OKL4_AGAIN)
		errx(1, "libfs: %s", okl4_status_text((int)status));
	return status;
}

static void *share(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "mmap");
	return mem;
}

static void wake(int fd)
{
	if (eventfd_write(fd, 1))
		err(1, "eventfd");
}

static void sleep_until_woken(int fd)
{
	eventfd_t n;

	if (eventfd_read(fd, &n))
		err(1, "eventfd");
}

/* Writes all of buf. If there is no room, it asks to be woken when half the ring is free, and sleeps. */
static void put(struct okl4_pipe *tx, const char *buf, uint64_t bytes)
{
	bool notify;

	while (bytes) {
		int64_t n = check(okl4_pipe_write(tx, buf, bytes, &notify));

		if (n > 0) {
			buf += n;
			bytes -= (uint64_t)n;
			if (notify)
				wake(to_reader);
		} else if (check(okl4_pipe_arm_write(tx, RING_BYTES / 2)) == 0) {
			sleep_until_woken(to_writer);
		}
	}
}

/* The reading process takes the bytes where they lie in the ring. */
static void reader(void)
{
	struct okl4_socketpair host;
	struct okl4_pipe_seg seg[2];
	int64_t n;

	check(okl4_socketpair_attach(&host, &ctl, &fwd, &bwd, INSTANCE));
	okl4_pipe_consumer_open(&host.rx);
	while ((n = check(okl4_pipe_peek_read(&host.rx, seg))) != 0) {
		if (n > 0) {
			ssize_t written = write(STDOUT_FILENO, seg[0].base, seg[0].bytes);

			if (written < 0) {
				okl4_pipe_consumer_close(&host.rx); /* the writer gets OKL4_PIPE */
				wake(to_writer);
				err(1, "standard output");
			}
			if (okl4_pipe_commit_read(&host.rx, (uint64_t)written))
				wake(to_writer);
		} else if (check(okl4_pipe_arm_read(&host.rx)) == 0) {
			sleep_until_woken(to_reader);
		}
	}
}

static void writer(struct okl4_socketpair *guest)
{
	static char buf[100000];
	ssize_t n;

	okl4_pipe_producer_open(&guest->tx);
	wake(to_reader);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		put(&guest->tx, buf, (uint64_t)n);
	if (n < 0)
		err(1, "standard input");
	okl4_pipe_producer_close(&guest->tx); /* the reader's end of file */
	wake(to_reader);
}

int main(void)
{
	struct okl4_socketpair guest;
	int status;
	pid_t pid;

	chunk[0] = share(CTL_BYTES);
	chunk[1] = share(RING_BYTES);
	chunk[2] = share(RING_BYTES);
	check(okl4_memsec_init(&ctl, &chunk[0], 1, CTL_BYTES));
	check(okl4_memsec_init(&fwd, &chunk[1], 1, RING_BYTES));
	check(okl4_memsec_init(&bwd, &chunk[2], 1, RING_BYTES));
	check(okl4_socketpair_create(&guest, &ctl, &fwd, &bwd, INSTANCE));
	to_reader = eventfd(0, EFD_CLOEXEC);
	to_writer = eventfd(0, EFD_CLOEXEC);
	if (to_reader < 0 || to_writer < 0)
		err(1, "eventfd");

	signal(SIGPIPE, SIG_IGN);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		reader();
		return 0;
	}
	writer(&guest);
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
