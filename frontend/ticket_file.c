/* ticket_file - see ticket_file.h. */
#include "frontend/ticket_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char *ticket_file_path(const struct config *config)
{
	return config->tls.tickets.enabled ? config->tls.tickets.file : NULL;
}

int ticket_file_open(const char *path, const char **why)
{
	/* a FIFO must not make us wait for who writes to it */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	*why = "";
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	*why = fd < 0 ? strerror(errno) : "it is not a regular file";
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool is_other(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
	       a->st_mode != b->st_mode || a->st_ctim.tv_sec != b->st_ctim.tv_sec ||
	       a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

/* True: there is another one than when it was looked at last, or none any more. */
static bool look(struct ticket_file *file)
{
	const char *path = ticket_file_path(*file->config);
	struct stat before = file->last;

	if (path == NULL || stat(path, &file->last) == -1)
		file->last = (struct stat) { .st_size = 0 };
	return is_other(&before, &file->last);
}

static void watch(struct ticket_file *file)
{
	static const struct certificates none;
	const char *others[2] = { ticket_file_path(*file->config), NULL };

	certificate_watch_update(file->watch, &none, others);
}

static void on_change(void *owner)
{
	struct ticket_file *file = owner;

	watch(file);
	if (look(file) && ticket_file_path(*file->config) != NULL)
		file->changed(file->owner);
}

void ticket_file_start(struct ticket_file *file, struct ev_loop *loop)
{
	file->watch = certificate_watch_new(loop, on_change, file);
	ticket_file_update(file);
}

/* What it holds has come with the configuration; what it holds by now, the watch tells. */
void ticket_file_update(struct ticket_file *file)
{
	if (file->watch != NULL)
		watch(file);
}

void ticket_file_end(struct ticket_file *file)
{
	certificate_watch_free(file->watch);
	file->watch = NULL;
}
