// SPDX-License-Identifier: BSD-3-Clause
#include "ctl/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/call.h"
#include "ctl/result.h"
#include "util/fd.h"
#include "util/folder.h"

bool ctl_save_wanted;

const struct ctl_option ctl_save_option[] = { CTL_SAVE_OPTION, { .name = NULL } };

#define MAX_BYTES (1UL << 20) /* of a configuration file */

/* Whether // stands outside of a string; a file that cannot be read has none */
static bool has_comments(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = calloc(1, MAX_BYTES + 1);
	bool in_string = false;
	ssize_t n = 0;

	for (size_t at = 0; fd >= 0 && text && at < MAX_BYTES; at += (size_t)n) {
		n = read(fd, text + at, MAX_BYTES - at);
		if (n <= 0)
			break;
	}
	for (const char *c = text; c && *c; c++) {
		if (in_string && *c == '\\' && c[1])
			c++;
		else if (*c == '"')
			in_string = !in_string;
		else if (!in_string && c[0] == '/' && c[1] == '/')
			return true;
	}
	return false;
}

/* A file beside the former one, with its mode and owner; Return: 0 or -errno */
static int make_temp(struct ctl_save *save)
{
	struct stat st;

	if (stat(save->path, &st))
		return -errno;
	if (asprintf(&save->temp, "%s.XXXXXX", save->path) < 0) {
		save->temp = NULL;
		return -ENOMEM;
	}
	save->fd = mkostemp(save->temp, O_CLOEXEC);
	if (save->fd < 0) {
		int r = -errno;

		free(save->temp);
		save->temp = NULL;
		return r;
	}
	if (fchown(save->fd, st.st_uid, st.st_gid) || fchmod(save->fd, st.st_mode & 07777))
		return -errno;
	return 0;
}

/* What runs now; Return: CTL_DONE, or another ctl_exit with a line on stderr */
static enum ctl_exit get_config(const struct ctl *ctl, const char *done,
				struct json_object **result)
{
	enum ctl_exit r = ctl_call(ctl, "config.get", NULL, result);

	if (r)
		return r;
	if (!*ctl_string(*result, "path"))
		ctl_error(
			"%sthere is no configuration file to save to; start okl4fsd with --config "
			"FILE",
			done);
	else if (ctl_boolean(*result, "file_changed"))
		ctl_error("%s%s was changed since the daemon has read it; to keep that, run "
			  "okl4fsctl reload first; okl4fsctl config show prints what runs",
			  done, ctl_string(*result, "path"));
	else
		return CTL_DONE;
	return CTL_REFUSED;
}

enum ctl_exit ctl_save_begin(struct ctl_save *save, const struct ctl *ctl)
{
	struct json_object *result;
	const char *path;
	enum ctl_exit r = get_config(ctl, "nothing was changed: ", &result);
	int error = 0;

	*save = (struct ctl_save){ .fd = -1 };
	if (r) {
		json_object_put(result);
		return r;
	}
	path = ctl_string(result, "path");
	save->path = realpath(path, NULL);
	error = save->path ? make_temp(save) : -errno;
	if (error) {
		ctl_error("nothing was changed: %s cannot be saved: %s%s", path, strerror(-error),
			  error == -EACCES || error == -EPERM ?
				  " (run okl4fsctl as root, for instance with sudo)" :
				  "");
		ctl_save_drop(save);
		r = CTL_REFUSED;
	} else {
		save->comments = has_comments(save->path);
	}
	json_object_put(result);
	return r;
}

static int write_all(int fd, const char *text)
{
	size_t bytes = strlen(text);

	while (bytes) {
		ssize_t n = write(fd, text, bytes);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		bytes -= n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) ? -errno : 0;
}

static int sync_folder(const char *path)
{
	_cleanup_free_ char *folder = folder_of(path);
	_cleanup_fd_ int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* The file with the comments stays as PATH~ */
static void keep_commented(const struct ctl_save *save)
{
	_cleanup_free_ char *old = NULL;

	if (asprintf(&old, "%s~", save->path) < 0)
		old = NULL;
	if (old && (!unlink(old) || errno == ENOENT) && !link(save->path, old))
		ctl_error("note: %s has no comments now; the former file is %s", save->path, old);
	else
		ctl_error("note: the comments of %s are lost", save->path);
}

/* Return: 0 or -errno; then the file is as it was */
static int replace_file(struct ctl_save *save, const char *text)
{
	int r = write_all(save->fd, text);

	if (r)
		return r;
	if (save->comments)
		keep_commented(save);
	if (rename(save->temp, save->path))
		return -errno;
	free(save->temp);
	save->temp = NULL;
	return sync_folder(save->path);
}

enum ctl_exit ctl_save_end(struct ctl_save *save, const struct ctl *ctl, const char *done)
{
	struct json_object *result, *nothing = NULL;
	enum ctl_exit r = get_config(ctl, done, &result);
	int error;

	if (!r && *ctl_string(result, "error")) {
		ctl_error("%s%s is not saved, since no daemon would start with it: %s", done,
			  save->path, ctl_string(result, "error"));
		r = CTL_REFUSED;
	}
	error = r ? 0 : replace_file(save, ctl_string(result, "text"));
	if (error) {
		ctl_error("%s%s cannot be saved: %s; okl4fsctl config save tries again", done,
			  save->path, strerror(-error));
		r = CTL_REFUSED;
	}
	if (!r)
		r = ctl_call(ctl, "config.saved", NULL, &nothing);
	json_object_put(nothing);
	json_object_put(result);
	ctl_save_drop(save);
	return r;
}

void ctl_save_drop(struct ctl_save *save)
{
	if (save->temp)
		unlink(save->temp);
	free(save->temp);
	free(save->path);
	fd_close(save->fd);
	*save = (struct ctl_save){ .fd = -1 };
}
