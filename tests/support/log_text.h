/* log_text - reads a line of the log back, strictly: for the tests of what writes it.
 * Invariants: takes nothing for valid that RFC 8259 does not; JSON of one flat object, of strings and numbers.
 */
#ifndef TESTS_SUPPORT_LOG_TEXT_H
#define TESTS_SUPPORT_LOG_TEXT_H

#include "protocols/span.h"

#define LOG_TEXT_MAX 8192

struct log_text {
	char data[LOG_TEXT_MAX];
	size_t len;
};

/* Whether text is one object and nothing else. The value of `key` with JSON's escapes undone (of a number: its text) goes to
 * *out; false as well when there is none, unless key is NULL. */
bool log_text_json(struct span text, const char *key, struct log_text *out);

/* The value of `key` in a line of logfmt, without its quotation marks and with the \ before others of them undone. */
bool log_text_logfmt(struct span text, const char *key, struct log_text *out);

/* Undoes \xNN and \\ in place; false when another \ stands there. */
bool log_text_unescape(struct log_text *);

#endif
