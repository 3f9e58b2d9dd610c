/* log - one line per event, in logfmt or JSON, in one write.
 * Invariants: a line never exceeds 4 KiB; every value from outside is quoted and escaped (log_escape.h), at most 256 octets
 * of it, so no name can forge a line, and every line in JSON is a whole object; never blocks: what cannot be written is counted
 * and told with the next line that can (log_lost).
 */
#ifndef FRONTEND_LOG_H
#define FRONTEND_LOG_H

#include "protocols/span.h"
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMATS };

/* What stands around a line on its way out. */
enum log_kind {
	LOG_KIND_LINES,    /* nothing; a newline ends it */
	LOG_KIND_PRIORITY, /* the same with "<6>" in front: stderr that systemd reads (sd-daemon(3)) */
	LOG_KIND_SYSLOG, /* a datagram: "<22>postern[PID]: " and the line (RFC 3164 4.1, without a time stamp) */
	LOG_KIND_JOURNAL, /* a datagram of fields: MESSAGE= and the line, POSTERN_KEY= for each key of it */
	LOG_KINDS,
};

/* Where the lines go. */
struct log_output {
	int fd; /* -1: nowhere */
	enum log_kind kind;
	enum log_format format;
};

#define LOG_LINE_MAX   4096
#define LOG_FIELDS_MAX 5120
#define LOG_VALUE_MAX  256

/* A line under construction; on the stack of the caller. */
struct log_line {
	char text[LOG_LINE_MAX];
	size_t len;
	char fields[LOG_FIELDS_MAX]; /* the same keys for the journal, "POSTERN_KEY=value\n" each */
	size_t fields_len;
	enum log_level level;
	bool dropped; /* below the level: nothing is written */
};

/* Writes there from now on. The descriptor is owned by log; the one before is closed. */
void log_set_output(const struct log_output *);
/* The same kind and format elsewhere; -1: nowhere. */
void log_set_descriptor(int fd);
void log_set_level(enum log_level);
uint64_t log_lost(void);

/* "time=... level=... event=...", with session=%016x in front when session is not 0. `event` is one of the stable names. */
void log_begin(struct log_line *, enum log_level, const char *event, uint64_t session);
/* Our own word, quoted only where it must be; NULL: left out. */
void log_word(struct log_line *, const char *key, const char *word);
/* Our own words, quoted; longer than a value from outside may be, but written whole or left out. */
void log_text(struct log_line *, const char *key, const char *text);
/* From outside: quoted and escaped. */
void log_value(struct log_line *, const char *key, struct span value);
void log_number(struct log_line *, const char *key, uint64_t);
void log_seconds(struct log_line *, const char *key, double);
void log_end(struct log_line *);

/* event with message="..." (our own words, formatted; escaped all the same) */
__attribute__((format(printf, 3, 4))) void log_event(enum log_level, const char *event,
						     const char *format, ...);

#endif
