// SPDX-License-Identifier: BSD-3-Clause
/*
 * agent - PID 1 of a test guest: runs commands for the host over a virtio-serial port
 *
 * Frames of {le32 type, le32 id, le32 length, payload} go both ways over the port; the other end is
 * tests/vm/agent.py. The host opens with SYNC and a token; the agent skips whatever comes before it
 * (left over from before a reset) and answers with the same, so both begin at the start of a frame.
 * A SYNC in place of a frame is answered, too: the first one went to a kernel that never started an
 * agent. Then any number of commands run at a time, each under an id that the host has chosen:
 *
 *   RUN flags command   start `sh -c command`; stdin is /dev/null, a pipe or a terminal
 *   STDIN data          for its standard input; empty is the end. At most WINDOW bytes may be
 *                       under way; the agent says with CREDIT how many it has passed on
 *   SIGNAL number       to its process group
 *   WINSIZE rows cols   of its terminal
 *   OUT data            what it wrote to stdout and stderr
 *   EXIT status         it ended; as in a shell, 128 + signal if a signal killed it
 *
 * As PID 1 the agent also reaps every orphan.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNC_MAGIC     "okl4fs-agent-v1\n"
#define SYNC_BYTES     16
#define MAX_JOBS       64
#define WINDOW         65536
#define MAX_LAST_READS 64 /* more than a pipe or a terminal holds, but bounded */
#define MAX_PAYLOAD    (128 * 1024)

enum frame_type {
	FRAME_RUN = 1,
	FRAME_STDIN,
	FRAME_SIGNAL,
	FRAME_WINSIZE,
	FRAME_OUT = 16,
	FRAME_EXIT,
	FRAME_CREDIT,
};

enum run_flags {
	RUN_STDIN = 1,
	RUN_TTY = 2,
};

struct frame {
	uint32_t type;
	uint32_t id;
	uint32_t length;
};

/*
 * struct job - one command
 * @id: the host's number for it; 0 marks a free slot
 * @pid: its first process and process group; 0 once it is reaped
 * @out: what it writes comes from here; -1 when that has ended
 * @in: what it reads goes here; -1 when that has ended
 * @tty: @out and @in are the same pseudo-terminal
 * @eof: the host has ended its input; @in is closed when @pending is empty
 * @pending: input that the command has not taken yet, @n_pending bytes of it
 */
struct job {
	uint32_t id;
	pid_t pid;
	int out;
	int in;
	bool tty;
	bool eof;
	size_t n_pending;
	char pending[WINDOW + 1]; /* and a ctrl_d */
};

static struct job jobs[MAX_JOBS];
static int port;

/* die() - end with a message on the console; the kernel panics and the host sees it */
static void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* read_full() - read exactly @n bytes from the port */
static void read_full(void *buf, size_t n)
{
	char *p = buf;

	while (n) {
		ssize_t got = read(port, p, n);

		if (got < 0 && errno != EINTR)
			die("read");
		if (got == 0) { /* the host is not connected (yet) */
			struct pollfd pfd = { .fd = port, .events = POLLIN };

			poll(&pfd, 1, 10);
		}
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

/* write_full() - write exactly @n bytes to the port */
static void write_full(const void *buf, size_t n)
{
	const char *p = buf;

	while (n) {
		ssize_t put = write(port, p, n);

		if (put < 0 && errno != EINTR && errno != EAGAIN)
			die("write");
		if (put > 0) {
			p += put;
			n -= (size_t)put;
		}
	}
}

/* send_frame() - send a frame to the host */
static void send_frame(uint32_t type, uint32_t id, const void *payload, size_t length)
{
	struct frame frame = { .type = type, .id = id, .length = (uint32_t)length };
	char buf[sizeof(frame) + 32768];

	memcpy(buf, &frame, sizeof(frame));
	memcpy(buf + sizeof(frame), payload, length);
	write_full(buf, sizeof(frame) + length);
}

/* answer_sync() - the magic of a SYNC has been read; answer with it and the token that follows */
static void answer_sync(void)
{
	char token[SYNC_BYTES];

	read_full(token, sizeof(token));
	write_full(SYNC_MAGIC, SYNC_BYTES);
	write_full(token, sizeof(token));
}

/* synchronise() - skip to the host's SYNC and answer it */
static void synchronise(void)
{
	char seen[SYNC_BYTES] = "";

	while (memcmp(seen, SYNC_MAGIC, SYNC_BYTES) != 0) {
		memmove(seen, seen + 1, SYNC_BYTES - 1);
		read_full(&seen[SYNC_BYTES - 1], 1);
	}
	answer_sync();
}

/* find_job() - the job called @id, or a free slot for @id 0; NULL when there is none */
static struct job *find_job(uint32_t id)
{
	for (size_t i = 0; i < MAX_JOBS; i++) {
		if (jobs[i].id == id)
			return &jobs[i];
	}
	return NULL;
}

/* send_exit() - tell the host how a job ended */
static void send_exit(uint32_t id, int wait_status)
{
	uint32_t status = WIFEXITED(wait_status) ? (uint32_t)WEXITSTATUS(wait_status) :
						   128 + (uint32_t)WTERMSIG(wait_status);

	send_frame(FRAME_EXIT, id, &status, sizeof(status));
}

/* close_input() - end a job's input */
static void close_input(struct job *job)
{
	if (job->in >= 0 && job->in != job->out)
		close(job->in);
	job->in = -1;
	job->n_pending = 0;
}

/* open_terminal() - a new pseudo-terminal; Return: the master, its slave's name in @name */
static int open_terminal(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) || unlockpt(master) || ptsname_r(master, name, size))
		die("pseudo-terminal");
	return master;
}

/* exec_command() - the child's part of start_job(): stdin is @in, stdout and stderr are @out */
static void exec_command(const char *command, const char *tty, int in, int out)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (tty) {
		in = out = open(tty, O_RDWR);
		if (in < 0 || ioctl(in, TIOCSCTTY, 0))
			_exit(127);
	}
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	close_range(3, ~0U, 0);
	execl("/bin/sh", tty ? "-sh" : "sh", "-c", command, NULL);
	_exit(127);
}

/* start_job() - start a command for the host */
static void start_job(uint32_t id, uint32_t flags, const char *command)
{
	struct job *job = find_job(0);
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	char tty[64];
	bool on_tty = flags & RUN_TTY;

	if (!job) {
		static const char full[] = "agent: too many commands at once\n";

		send_frame(FRAME_OUT, id, full, sizeof(full) - 1);
		send_exit(id, 126 << 8);
		return;
	}
	if (on_tty) {
		in[1] = out[0] = open_terminal(tty, sizeof(tty));
	} else {
		if (pipe2(out, O_CLOEXEC))
			die("pipe");
		if (!(flags & RUN_STDIN))
			in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		else if (pipe2(in, O_CLOEXEC))
			die("pipe");
	}
	*job = (struct job){ .id = id, .out = out[0], .in = in[1], .tty = on_tty };
	job->pid = fork();
	if (job->pid < 0)
		die("fork");
	if (job->pid == 0)
		exec_command(command, on_tty ? tty : NULL, in[0], out[1]);
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	fcntl(job->out, F_SETFL, O_NONBLOCK);
	if (job->in >= 0)
		fcntl(job->in, F_SETFL, O_NONBLOCK);
}

/* take_input() - keep what the host sent for a job's stdin until the job reads it */
static void take_input(struct job *job, const char *data, uint32_t length)
{
	static const char ctrl_d = 4; /* how a terminal says end of file */

	if (length == 0 && !job->tty) {
		job->eof = true;
		return;
	}
	if (length == 0) {
		data = &ctrl_d;
		length = 1;
	}
	if (length > sizeof(job->pending) - job->n_pending) {
		errno = EPROTO;
		die("the host sends more than WINDOW allows");
	}
	memcpy(job->pending + job->n_pending, data, length);
	job->n_pending += length;
}

/* pass_input() - give a job as much input as it can take */
static void pass_input(struct job *job)
{
	uint32_t credit = (uint32_t)job->n_pending;

	if (job->in >= 0 && job->n_pending) {
		ssize_t put = write(job->in, job->pending, job->n_pending);

		if (put < 0 && errno == EAGAIN)
			return;
		if (put >= 0)
			credit = (uint32_t)put;
		else
			close_input(job);
	}
	if (credit) {
		job->n_pending = job->n_pending > credit ? job->n_pending - credit : 0;
		memmove(job->pending, job->pending + credit, job->n_pending);
		send_frame(FRAME_CREDIT, job->id, &credit, sizeof(credit));
	}
	if (job->eof && !job->n_pending && job->in >= 0 && !job->tty)
		close_input(job);
}

/* pass_output() - send the host one piece of a job's output; Return: whether there was one */
static bool pass_output(struct job *job)
{
	char buf[32768];
	ssize_t got = read(job->out, buf, sizeof(buf));

	if (got > 0) {
		if (job->pid)
			send_frame(FRAME_OUT, job->id, buf, (size_t)got);
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (job->in == job->out)
		job->in = -1;
	close(job->out);
	job->out = -1;
	return false;
}

/*
 * end_job() - a job's first process has ended
 *
 * What it wrote is sent before its status. Processes that it left behind may hold its output open.
 * That output is still read, and dropped, so that it does not kill them.
 */
static void end_job(struct job *job, int wait_status)
{
	for (size_t i = 0; i < MAX_LAST_READS && job->out >= 0 && pass_output(job); i++)
		;
	send_exit(job->id, wait_status);
	close_input(job);
	job->pid = 0;
}

/* reap() - collect every child that has ended */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < MAX_JOBS; i++) {
			if (jobs[i].id && jobs[i].pid == pid)
				end_job(&jobs[i], status);
		}
	}
}

/* signal_job() - the whole session of a job; before its setsid(), the job alone */
static void signal_job(const struct job *job, int number)
{
	if (kill(-job->pid, number) && errno == ESRCH)
		kill(job->pid, number);
}

/* take_frame() - read one frame from the host and carry it out */
static void take_frame(void)
{
	static char payload[MAX_PAYLOAD + 1];
	struct frame frame;
	struct job *job;
	uint32_t word = 0;

	read_full(&frame, sizeof(frame));
	if (!memcmp(&frame, SYNC_MAGIC, sizeof(frame))) {
		read_full(payload, SYNC_BYTES - sizeof(frame));
		answer_sync();
		return;
	}
	if (frame.length > MAX_PAYLOAD) {
		errno = EPROTO;
		die("frame");
	}
	read_full(payload, frame.length);
	payload[frame.length] = '\0';
	if (frame.length >= sizeof(word))
		memcpy(&word, payload, sizeof(word));
	if (frame.type == FRAME_RUN && frame.length >= sizeof(word)) {
		start_job(frame.id, word, payload + sizeof(word));
		return;
	}
	job = frame.id ? find_job(frame.id) : NULL;
	if (!job || !job->pid)
		return; /* the command ended while the host sent this */
	if (frame.type == FRAME_STDIN)
		take_input(job, payload, frame.length);
	else if (frame.type == FRAME_SIGNAL)
		signal_job(job, (int)word);
	else if (frame.type == FRAME_WINSIZE && job->tty && job->out >= 0)
		ioctl(job->out, TIOCSWINSZ,
		      &(struct winsize){ .ws_row = word & 0xffff, .ws_col = word >> 16 });
}

/* serve() - one round: wait for the host, the children and their pipes */
static void serve(int signals)
{
	struct pollfd fds[2 + 2 * MAX_JOBS];
	struct signalfd_siginfo info;

	fds[0] = (struct pollfd){ .fd = port, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
	for (size_t i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];
		bool wants = job->id && job->in >= 0 && job->n_pending;

		fds[2 + 2 * i] = (struct pollfd){ .fd = job->id ? job->out : -1, .events = POLLIN };
		fds[3 + 2 * i] = (struct pollfd){ .fd = wants ? job->in : -1, .events = POLLOUT };
	}
	if (poll(fds, 2 + 2 * MAX_JOBS, -1) < 0)
		return;
	if (fds[0].revents & POLLIN)
		take_frame();
	for (size_t i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];

		if (job->id && job->out >= 0 && fds[2 + 2 * i].revents)
			pass_output(job);
		if (job->id && job->pid && (job->n_pending || job->eof))
			pass_input(job);
		if (job->id && !job->pid && job->out < 0)
			job->id = 0;
	}
	if (fds[1].revents & POLLIN && read(signals, &info, sizeof(info)) > 0)
		reap();
}

int main(int argc, char **argv)
{
	sigset_t children;
	int signals;

	if (argc != 2) {
		fprintf(stderr, "usage: agent PORT\n");
		return 2;
	}
	port = open(argv[1], O_RDWR | O_CLOEXEC);
	if (port < 0)
		die(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		die("signalfd");
	synchronise();
	for (;;)
		serve(signals);
}
