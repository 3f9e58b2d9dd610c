/* log_target - the supervisor's end of the log: opens what `log.target` names, and finds a daemon again that was restarted.
 * Invariants: children open nothing, they get the descriptor; an open that fails leaves the target before it in use. All processes
 * share one socket to a daemon, so connecting it anew in the supervisor serves them all.
 */
#ifndef FRONTEND_LOG_TARGET_H
#define FRONTEND_LOG_TARGET_H

#include "frontend/log.h"
#include "frontend/message.h"
#include <ev.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LOG_TARGET_SYSLOG   "/dev/log"
#define LOG_TARGET_JOURNALD "/run/systemd/journal/socket"

struct log_target {
	struct ev_loop *loop;
	struct log_output output; /* what children get; stays ours */
	/* of a daemon's socket: */
	struct sockaddr_un address;
	struct stat seen; /* the file when it was connected to */
	ev_timer watch;
};

void log_target_init(struct log_target *, struct ev_loop *);

/* NULL when `name` is a right log.target ("stderr", "syslog", "journald", "syslog:PATH", "journald:PATH", a path), else what is
 * wrong with it. */
const char *log_target_check(const char *name);

/* Opens it, and has this process write there; closes what was open before. 0, or -1 with errno and all as it was. */
int log_target_open(struct log_target *, const char *name, enum log_format);
void log_target_close(struct log_target *);

/* The descriptor and what else CONTROL_LOG carries, in a child: written there from now on. False when malformed. */
void log_target_put(struct message_writer *, const struct log_output *);
bool log_target_take(struct message_reader *, int *fds, size_t nfds);

#endif
