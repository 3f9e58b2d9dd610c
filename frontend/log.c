/* log - one line per event, in logfmt; see log.h.
 * Invariants: a key with its value is written whole or left out; a line is one write() of at most LOG_LINE_MAX bytes,
 * which is also what a pipe takes in one piece (PIPE_BUF), so the lines of several processes never mix. A write that
 * would block or fails is counted, never repeated and never a reason to exit.
 */
#include "frontend/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_MESSAGE_MAX 1024 /* octets of our own words in message="..." */

static const char *const level_names[] = { "debug", "info", "warning", "error" };

static struct {
	int fd;
	bool is_socket, may_block;
	enum log_level level;
	uint64_t lost, told;
} target = { .fd = -1, .level = LOG_LEVEL_INFO };

int log_open(const char *log_target)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	if (strcmp(log_target, "stderr") != 0)
		return open(log_target, flags | O_CREAT, 0640);

	/* A file never blocks, and whatever else writes to stderr goes on where a line of ours ended. Anything else gets a
	 * description of our own: non-blocking, without making a terminal so for the others that use it. */
	struct stat status;
	bool is_file = fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
	int fd = is_file ? -1 : open("/proc/self/fd/2", flags);

	return fd >= 0 ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
}

void log_set_descriptor(int fd)
{
	struct stat status;

	if (target.fd >= 0 && target.fd != fd)
		close(target.fd);
	target.fd = fd;
	if (fd < 0)
		return;

	int flags = fcntl(fd, F_GETFL);
	bool known = fstat(fd, &status) == 0;

	target.is_socket = known && S_ISSOCK(status.st_mode);
	target.may_block =
		!(known && S_ISREG(status.st_mode)) && !(flags >= 0 && (flags & O_NONBLOCK));
}

void log_set_level(enum log_level level)
{
	target.level = level;
}

uint64_t log_lost(void)
{
	return target.lost;
}

/* Appends a whole "key=value" or nothing; one byte stays free for the newline. */
static void append(struct log_line *line, const char *text, size_t len)
{
	if (line->dropped || len > LOG_LINE_MAX - 1 - line->len)
		return;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

__attribute__((format(printf, 2, 3))) static void append_format(struct log_line *line,
								const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > 0 && (size_t)len < sizeof(text))
		append(line, text, (size_t)len);
}

static void append_time(struct log_line *line)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	append_format(line, "time=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900,
		      utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		      now.tv_nsec / 1000000);
}

static void begin(struct log_line *line, enum log_level level, const char *event, uint64_t session)
{
	line->len = 0;
	line->dropped = false;
	if (session != 0)
		append_format(line, "session=%016llx ", (unsigned long long)session);
	append_time(line);
	append_format(line, " level=%s event=%s", level_names[level], event);
}

void log_begin(struct log_line *line, enum log_level level, const char *event, uint64_t session)
{
	if (level < target.level) {
		line->len = 0;
		line->dropped = true;
		return;
	}
	begin(line, level, event, session);
}

void log_word(struct log_line *line, const char *key, const char *word)
{
	if (word)
		append_format(line, " %s=%s", key, word);
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
	append_format(line, " %s=%llu", key, (unsigned long long)value);
}

void log_seconds(struct log_line *line, const char *key, double value)
{
	append_format(line, " %s=%.3f", key, value);
}

/* Length of the UTF-8 sequence that stands at data, 0 when there is none (RFC 3629 4); its code point in *out. */
static size_t utf8_sequence(const unsigned char *data, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t need = data[0] < 0x80   ? 1
		      : data[0] < 0xc2 ? 0
		      : data[0] < 0xe0 ? 2
		      : data[0] < 0xf0 ? 3
		      : data[0] < 0xf5 ? 4
				       : 0;

	if (need == 0 || need > len)
		return 0;

	uint32_t point = need == 1 ? data[0] : data[0] & (0x7fu >> need);

	for (size_t i = 1; i < need; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (data[i] & 0x3fu);
	}
	if (point < least[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*out = point;
	return need;
}

/* Controls, and what a viewer may take for a new line or for a change of direction. */
static bool point_is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x200e ||
	       point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

/* Writes the escaped form of at most max octets of value to out, which has four bytes for each; returns its length. */
static size_t escape(struct span value, size_t max, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *data = (const unsigned char *)value.data;
	size_t used = 0, len = 0;

	while (used < value.len) {
		uint32_t point = 0;
		size_t sequence = utf8_sequence(data + used, value.len - used, &point);
		size_t bytes = sequence ? sequence : 1;

		if (bytes > max - used)
			break;
		if (sequence == 0 || point_is_control(point)) {
			for (size_t i = 0; i < bytes; i++) {
				out[len++] = '\\';
				out[len++] = 'x';
				out[len++] = hex[data[used + i] >> 4];
				out[len++] = hex[data[used + i] & 15];
			}
		} else {
			if (point == '"' || point == '\\')
				out[len++] = '\\';
			memcpy(out + len, data + used, bytes);
			len += bytes;
		}
		used += bytes;
	}
	return len;
}

static void append_quoted(struct log_line *line, const char *key, struct span value, size_t max)
{
	char text[LOG_LINE_MAX + 64];
	int head = snprintf(text, 64, " %s=\"", key);

	if (line->dropped || head < 0 || head >= 64)
		return;

	size_t len = (size_t)head + escape(value, max, text + head);

	text[len++] = '"';
	append(line, text, len);
}

void log_value(struct log_line *line, const char *key, struct span value)
{
	append_quoted(line, key, value, LOG_VALUE_MAX);
}

static bool write_line(const char *text, size_t len)
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

static bool tell_lost(void)
{
	struct log_line line;

	begin(&line, LOG_LEVEL_WARNING, "log_lost", 0);
	log_number(&line, "lost", target.lost - target.told);
	line.text[line.len++] = '\n';
	if (!write_line(line.text, line.len))
		return false;
	target.told = target.lost;
	return true;
}

void log_end(struct log_line *line)
{
	int saved = errno;

	if (!line->dropped && target.fd >= 0) {
		line->text[line->len++] = '\n';
		if ((target.lost > target.told && !tell_lost()) ||
		    !write_line(line->text, line->len))
			target.lost++;
	}
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

	/* escaped it may be four times as long: still within a line, but for its end */
	append_quoted(&line, "message", (struct span) { text, kept }, (LOG_LINE_MAX - 256) / 4);
	log_end(&line);
}
