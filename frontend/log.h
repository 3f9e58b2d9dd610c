/* log - one line per event, in logfmt, in one write.
 * Invariants: a line never exceeds 4 KiB; every value from outside is quoted, control and non-UTF-8 bytes as \xNN, at most
 * 256 octets of it, so no name can forge a line; never blocks: what cannot be written is counted and told with the next
 * line that can (log_lost).
 */
#ifndef FRONTEND_LOG_H
#define FRONTEND_LOG_H

#include "protocols/span.h"
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

#define LOG_LINE_MAX  4096
#define LOG_VALUE_MAX 256

/* A line under construction; on the stack of the caller. */
struct log_line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool dropped; /* below the level: nothing is written */
};

/* Supervisor: a descriptor for "stderr" or a path, one that never blocks where that can be had; -1 with errno. */
int log_open(const char *log_target);
/* Writes to fd from now on (owned by log; -1: nowhere). The one before is closed. */
void log_set_descriptor(int fd);
void log_set_level(enum log_level);
uint64_t log_lost(void);

/* "time=... level=... event=...", with session=%016x in front when session is not 0. `event` is one of the stable names. */
void log_begin(struct log_line *, enum log_level, const char *event, uint64_t session);
void log_word(struct log_line *, const char *key,
	      const char *word); /* our own word, unquoted; NULL: left out */
void log_value(struct log_line *, const char *key,
	       struct span value); /* from outside: quoted and escaped */
void log_number(struct log_line *, const char *key, uint64_t);
void log_seconds(struct log_line *, const char *key, double);
void log_end(struct log_line *);

/* event with message="..." (our own words, formatted; escaped all the same) */
__attribute__((format(printf, 3, 4))) void log_event(enum log_level, const char *event,
						     const char *format, ...);

#endif
