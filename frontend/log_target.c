/* log_target - see log_target.h. Whether a daemon is still the one that was connected to is looked at once a second: a
 * datagram socket does not tell when its peer goes, and what is written to the old one is lost.
 */
#include "frontend/log_target.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCH_SECONDS 1.0

/* A daemon that is reached by a socket: its word in the configuration. */
static const struct daemon {
	const char *name, *path;
	enum log_kind kind;
} daemons[] = {
	{ "syslog", LOG_TARGET_SYSLOG, LOG_KIND_SYSLOG },
	{ "journald", LOG_TARGET_JOURNALD, LOG_KIND_JOURNAL },
};

/* The daemon that `name` means and the path of its socket, or NULL. */
static const struct daemon *find_daemon(const char *name, const char **path)
{
	for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++) {
		size_t len = strlen(daemons[i].name);

		if (strncmp(name, daemons[i].name, len) != 0 ||
		    (name[len] != '\0' && name[len] != ':'))
			continue;
		*path = name[len] == ':' ? name + len + 1 : daemons[i].path;
		return &daemons[i];
	}
	return NULL;
}

const char *log_target_check(const char *name)
{
	const char *path;

	if (!find_daemon(name, &path))
		return NULL;
	if (path[0] != '/')
		return "the path of the socket must begin with \"/\"";
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "the path of the socket is too long";
	return NULL;
}

/* ---- opening ---- */

/* sd-daemon(3), "JOURNAL_STREAM": device and inode of the stream that systemd has made our stderr. */
static bool stderr_is_the_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return named && sscanf(named, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

static int open_file(const char *name, enum log_kind *kind)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	*kind = LOG_KIND_LINES;
	if (strcmp(name, "stderr") != 0)
		return open(name, flags | O_CREAT, 0640);
	if (stderr_is_the_journal())
		*kind = LOG_KIND_PRIORITY;

	/* A file never blocks, and whatever else writes to stderr goes on where a line of ours ended. Anything else gets a
	 * description of our own: non-blocking, without making a terminal so for the others that use it. */
	struct stat status;
	bool is_file = fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
	int fd = is_file ? -1 : open("/proc/self/fd/2", flags);

	return fd >= 0 ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
}

/* A datagram socket may be connected again: whoever shares it then reaches the new peer. */
static int connect_to(int fd, const struct sockaddr_un *address, struct stat *seen)
{
	struct stat before;

	if (stat(address->sun_path, &before) < 0 ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -1;
	*seen = before;
	return 0;
}

static int open_socket(const char *path, struct sockaddr_un *address, struct stat *seen)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (strlen(path) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
	} else {
		memset(address, 0, sizeof(*address));
		address->sun_family = AF_UNIX;
		memcpy(address->sun_path, path, strlen(path));
		if (connect_to(fd, address, seen) == 0)
			return fd;
	}

	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

int log_target_open(struct log_target *target, const char *name, enum log_format format)
{
	struct log_target new = { .output = { .format = format } };
	const char *path;
	const struct daemon *found = find_daemon(name, &path);

	if (found) {
		new.output.kind = found->kind;
		new.output.fd = open_socket(path, &new.address, &new.seen);
	} else {
		new.output.fd = open_file(name, &new.output.kind);
	}
	if (new.output.fd < 0)
		return -1;

	struct log_output own = new.output;

	own.fd = fcntl(new.output.fd, F_DUPFD_CLOEXEC, 0);
	if (own.fd < 0) {
		close(new.output.fd);
		errno = EMFILE;
		return -1;
	}
	log_set_output(&own);
	if (target->output.fd >= 0)
		close(target->output.fd);
	target->output = new.output;
	target->address = new.address;
	target->seen = new.seen;
	if (found)
		ev_timer_again(target->loop, &target->watch);
	else
		ev_timer_stop(target->loop, &target->watch);
	return 0;
}

/* ---- watching ---- */

/* Nobody has met a dead peer yet, and its path still leads there. An inode number may be given again, hence the time. */
static bool peer_is_there(const struct log_target *target)
{
	const struct stat *seen = &target->seen;
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);
	struct stat now;

	return getpeername(target->output.fd, (struct sockaddr *)&peer, &len) == 0 &&
	       stat(target->address.sun_path, &now) == 0 && now.st_dev == seen->st_dev &&
	       now.st_ino == seen->st_ino && now.st_ctim.tv_sec == seen->st_ctim.tv_sec &&
	       now.st_ctim.tv_nsec == seen->st_ctim.tv_nsec;
}

static void on_watch(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct log_target *target = timer->data;

	if (!peer_is_there(target) &&
	    connect_to(target->output.fd, &target->address, &target->seen) == 0)
		log_event(LOG_LEVEL_INFO, "log_reopened", "connected again to %s",
			  target->address.sun_path);
}

void log_target_init(struct log_target *target, struct ev_loop *loop)
{
	*target = (struct log_target) { .loop = loop, .output = { .fd = -1 } };
	ev_timer_init(&target->watch, on_watch, 0, WATCH_SECONDS);
	target->watch.data = target;
}

void log_target_close(struct log_target *target)
{
	ev_timer_stop(target->loop, &target->watch);
	log_set_descriptor(-1);
	if (target->output.fd >= 0)
		close(target->output.fd);
	target->output.fd = -1;
}

/* ---- CONTROL_LOG ---- */

void log_target_put(struct message_writer *writer, const struct log_output *output)
{
	message_put_u8(writer, (uint8_t)output->kind);
	message_put_u8(writer, (uint8_t)output->format);
}

bool log_target_take(struct message_reader *reader, int *fds, size_t nfds)
{
	uint8_t kind = message_get_u8(reader), format = message_get_u8(reader);

	if (!message_done(reader) || kind >= LOG_KINDS || format >= LOG_FORMATS || nfds != 1)
		return false;
	log_set_output(
		&(struct log_output) { fds[0], (enum log_kind)kind, (enum log_format)format });
	fds[0] = -1;
	return true;
}
