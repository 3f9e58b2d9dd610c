/* log - one line per event; see log.h.
 * Invariants: a key with its value is written whole or left out; a line is one write() of at most LOG_LINE_MAX bytes,
 * which is also what a pipe takes in one piece (PIPE_BUF), or one datagram, so the lines of several processes never mix. A write that
 * would block or fails is counted, never repeated and never a reason to exit.
 */
#include "frontend/log.h"
#include "frontend/log_escape.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOG_MESSAGE_MAX 1024 /* octets of our own words in message="..." */
#define LINE_END        2    /* kept free for "}" and the newline */
#define KEY_MAX         56   /* with the prefix the journal takes 64 */
#define HEADER_MAX      128  /* what stands before a line in a datagram */

static const char *const level_names[] = { "debug", "info", "warning", "error" };
static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR };

static struct {
	int fd;
	enum log_kind kind;
	enum log_format format;
	bool is_socket, may_block;
	enum log_level level;
	long pid; /* asked for once: a confined process may not be able to later */
	uint64_t lost, told;
} target = { .fd = -1, .level = LOG_LEVEL_INFO };

void log_set_descriptor(int fd)
{
	struct stat status;

	if (target.fd >= 0 && target.fd != fd)
		close(target.fd);
	target.fd = fd;
	target.pid = getpid();
	if (fd < 0)
		return;

	int flags = fcntl(fd, F_GETFL);
	bool known = fstat(fd, &status) == 0;

	target.is_socket = known && S_ISSOCK(status.st_mode);
	target.may_block =
		!(known && S_ISREG(status.st_mode)) && !(flags >= 0 && (flags & O_NONBLOCK));
}

void log_set_output(const struct log_output *output)
{
	target.kind = output->kind;
	target.format = output->format;
	log_set_descriptor(output->fd);
}

void log_set_level(enum log_level level)
{
	target.level = level;
}

uint64_t log_lost(void)
{
	return target.lost;
}

/* ---- keys and values ---- */

static bool add(struct log_line *line, const char *text, size_t len)
{
	if (len > LOG_LINE_MAX - LINE_END - line->len)
		return false;
	memcpy(line->text + line->len, text, len);
	line->len += len;
	return true;
}

static bool add_text(struct log_line *line, const char *text)
{
	return add(line, text, strlen(text));
}

/* A whole "key=value" of the line, the value already escaped for it, or nothing. */
static bool add_pair(struct log_line *line, const char *key, struct span shown, bool quoted)
{
	bool json = target.format == LOG_FORMAT_JSON;
	const char *mark = quoted ? "\"" : "", *between = json ? ",\"" : " ";
	size_t before = line->len;

	if (before == 0)
		between = json ? "{\"" : "";
	if (strlen(key) <= KEY_MAX && add_text(line, between) && add_text(line, key) &&
	    add_text(line, json ? "\":" : "=") && add_text(line, mark) &&
	    add(line, shown.data, shown.len) && add_text(line, mark))
		return true;
	line->len = before;
	return false;
}

/* The same for the journal, whose names of fields are in capitals. */
static void add_field(struct log_line *line, const char *key, struct span plain)
{
	char *out = line->fields + line->fields_len;
	int head = snprintf(out, LOG_FIELDS_MAX - line->fields_len, "POSTERN_%s=", key);
	size_t room = LOG_FIELDS_MAX - line->fields_len;

	if (head < 0 || (size_t)head + plain.len + 1 > room)
		return;
	for (int i = 0; i < head; i++)
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	memcpy(out + head, plain.data, plain.len);
	out[(size_t)head + plain.len] = '\n';
	line->fields_len += (size_t)head + plain.len + 1;
}

/* `max` octets of the value at most; with `cut` what the line has room for, else all of that or nothing. */
static void put_quoted(struct log_line *line, const char *key, struct span value, size_t max,
		       bool cut)
{
	const enum log_escaping how =
		target.format == LOG_FORMAT_JSON ? LOG_ESCAPE_JSON : LOG_ESCAPE_LOGFMT;
	char text[LOG_LINE_MAX];
	size_t around = strlen(key) + strlen(",\"\":\"\"") + LINE_END;
	size_t room = sizeof(text);

	if (line->dropped)
		return;
	if (cut)
		room = line->len + around < LOG_LINE_MAX ? LOG_LINE_MAX - line->len - around : 0;

	size_t len = log_escape(value, max, how, text, room);

	if (!add_pair(line, key, (struct span) { text, len }, true) ||
	    target.kind != LOG_KIND_JOURNAL)
		return;
	len = log_escape(value, max, LOG_ESCAPE_JOURNAL, text, sizeof(text));
	add_field(line, key, (struct span) { text, len });
}

/* `bare`: it means the same without quotation marks, in JSON as well. */
static void put_bare(struct log_line *line, const char *key, struct span text, bool is_number)
{
	bool quoted = target.format == LOG_FORMAT_JSON && !is_number;

	if (!line->dropped && add_pair(line, key, text, quoted) && target.kind == LOG_KIND_JOURNAL)
		add_field(line, key, text);
}

void log_word(struct log_line *line, const char *key, const char *word)
{
	if (word && log_is_bare(word))
		put_bare(line, key, span_of(word), false);
	else if (word)
		log_text(line, key, word);
}

void log_text(struct log_line *line, const char *key, const char *text)
{
	put_quoted(line, key, span_of(text), LOG_LINE_MAX, false);
}

void log_value(struct log_line *line, const char *key, struct span value)
{
	put_quoted(line, key, value, LOG_VALUE_MAX, false);
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_bare(line, key, span_of(text), true);
}

void log_seconds(struct log_line *line, const char *key, double value)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%.3f", value);

	if (len > 0 && (size_t)len < sizeof(text))
		put_bare(line, key, (struct span) { text, (size_t)len }, true);
}

/* ---- the line ---- */

static void put_time(struct log_line *line)
{
	char text[64];
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900,
		 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		 now.tv_nsec / 1000000);
	log_word(line, "time", text);
}

static void begin(struct log_line *line, enum log_level level, const char *event, uint64_t session)
{
	char id[24];

	line->len = line->fields_len = 0;
	line->level = level;
	line->dropped = false;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)session);
	log_word(line, "session", session != 0 ? id : NULL);
	put_time(line);
	log_word(line, "level", level_names[level]);
	log_word(line, "event", event);
}

void log_begin(struct log_line *line, enum log_level level, const char *event, uint64_t session)
{
	if (level < target.level) {
		line->len = line->fields_len = 0;
		line->dropped = true;
		return;
	}
	begin(line, level, event, session);
}

/* ---- the way out ---- */

static bool write_bytes(const char *text, size_t len)
{
	ssize_t written;

	if (target.is_socket) {
		written = send(target.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		struct pollfd ready = { .fd = target.fd, .events = POLLOUT };

		if (target.may_block && (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)))
			return false;
		written = write(target.fd, text, len);
	}
	return written == (ssize_t)len;
}

static bool write_line(struct log_line *line)
{
	char packet[HEADER_MAX + LOG_LINE_MAX + LOG_FIELDS_MAX];
	const int priority = priorities[line->level];
	int head = 0;

	if (target.format == LOG_FORMAT_JSON)
		line->text[line->len++] = '}';
	if (target.kind != LOG_KIND_SYSLOG)
		line->text[line->len++] = '\n';
	switch (target.kind) {
	case LOG_KIND_PRIORITY:
		head = snprintf(packet, HEADER_MAX, "<%d>", priority);
		break;
	case LOG_KIND_SYSLOG:
		head = snprintf(packet, HEADER_MAX, "<%d>postern[%ld]: ", LOG_MAIL | priority,
				target.pid);
		break;
	case LOG_KIND_JOURNAL:
		head = snprintf(packet, HEADER_MAX,
				"PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=postern\n"
				"SYSLOG_PID=%ld\nMESSAGE=",
				priority, LOG_FAC(LOG_MAIL), target.pid);
		break;
	default:
		return write_bytes(line->text, line->len);
	}
	memcpy(packet + head, line->text, line->len);
	memcpy(packet + head + line->len, line->fields, line->fields_len);
	return write_bytes(packet, (size_t)head + line->len + line->fields_len);
}

static bool tell_lost(void)
{
	struct log_line line;

	begin(&line, LOG_LEVEL_WARNING, "log_lost", 0);
	log_number(&line, "lost", target.lost - target.told);
	if (!write_line(&line))
		return false;
	target.told = target.lost;
	return true;
}

void log_end(struct log_line *line)
{
	int saved = errno;

	if (!line->dropped && target.fd >= 0 &&
	    ((target.lost > target.told && !tell_lost()) || !write_line(line)))
		target.lost++;
	line->dropped = true;
	errno = saved;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	char text[LOG_MESSAGE_MAX];
	struct log_line line;
	va_list args;

	log_begin(&line, level, event, 0);
	if (line.dropped)
		return;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	size_t kept = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;

	put_quoted(&line, "message", (struct span) { text, kept }, kept, true);
	log_end(&line);
}
