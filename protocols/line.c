/* line - see line.h. */
#include "protocols/line.h"

static bool has_forbidden(struct span line)
{
	return line.len > 0 && (memchr(line.data, '\r', line.len) != NULL ||
				memchr(line.data, '\0', line.len) != NULL);
}

enum line_result line_cut(const char *data, size_t len, size_t max, size_t *scanned,
			  struct span *line)
{
	size_t window = len < max ? len : max;
	size_t from = *scanned < window ? *scanned : window;
	const char *end = window > from ? memchr(data + from, '\n', window - from) : NULL;

	*line = (struct span) { data, 0 };
	if (!end && len < max) {
		*scanned = len;
		return LINE_MORE;
	}
	*scanned = 0;
	if (!end)
		return LINE_LONG;
	if (end == data || end[-1] != '\r')
		return LINE_BARE_LF;
	line->len = (size_t)(end - data) - 1;
	return has_forbidden(*line) ? LINE_BAD : LINE_WHOLE;
}
