/* span - a piece of somebody else's bytes.
 * Invariants: owns nothing; valid only as long as the buffer that it points into.
 */
#ifndef PROTOCOLS_SPAN_H
#define PROTOCOLS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *data;
	size_t len;
};

#define SPAN(literal) ((struct span) { (literal), sizeof(literal) - 1 })

static inline struct span span_of(const char *text)
{
	return (struct span) { text, text ? strlen(text) : 0 };
}

/* ASCII case does not matter in verbs, mechanisms and capabilities. */
static inline bool span_is(struct span a, const char *text)
{
	return a.len == strlen(text) && strncasecmp(a.data, text, a.len) == 0;
}

static inline bool span_begins(struct span a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && strncasecmp(a.data, prefix, len) == 0;
}

static inline struct span span_from(struct span a, size_t skip)
{
	return skip <= a.len ? (struct span) { a.data + skip, a.len - skip }
			     : (struct span) { a.data + a.len, 0 };
}

/* The next blank-separated word of *rest, which moves behind it; an empty span at the end. */
struct span span_word(struct span *rest);

#endif
