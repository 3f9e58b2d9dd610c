/* fuzz_log - values from outside in lines of the log. The first byte chooses the format, the second how long a value stands before.
 * Invariants: the line is whole and within its bound, in JSON an object that a strict reader takes; what is shown of the
 * value, read back, is the value, cut at a letter.
 */
#include "frontend/log.h"
#include "tests/support/log_text.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>

static void check(const struct log_line *line, bool json, struct span value, bool must_be_there)
{
	struct log_text shown, whole;
	size_t wanted = value.len < LOG_VALUE_MAX ? value.len : LOG_VALUE_MAX;
	bool there;

	REQUIRE(line->len <= LOG_LINE_MAX - 2);
	whole.len = line->len;
	memcpy(whole.data, line->text, line->len);
	if (json) {
		whole.data[whole.len++] = '}';
		REQUIRE(log_text_json((struct span) { whole.data, whole.len }, NULL, &shown));
		there = log_text_json((struct span) { whole.data, whole.len }, "user", &shown);
	} else {
		REQUIRE(log_text_logfmt((struct span) { whole.data, whole.len }, "event", &shown));
		there = log_text_logfmt((struct span) { whole.data, whole.len }, "user", &shown);
	}
	REQUIRE(there || !must_be_there);
	if (!there)
		return;
	REQUIRE(log_text_unescape(&shown));
	REQUIRE(shown.len <= wanted && shown.len + 3 >= wanted);
	REQUIRE(memcmp(shown.data, value.data, shown.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_output output = { .fd = -1 };
	struct log_line line;
	char filling[LOG_LINE_MAX] = "";

	if (size < 2)
		return 0;

	struct span value = { (const char *)data + 2, size - 2 };

	output.format = data[0] & 1 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT;
	output.kind = data[0] & 2 ? LOG_KIND_JOURNAL : LOG_KIND_LINES;
	log_set_output(&output);
	memset(filling, 'x', (size_t)data[1] * 16);
	log_begin(&line, LOG_LEVEL_INFO, "session_end", 1);
	log_word(&line, "word", filling);
	log_value(&line, "user", value);
	check(&line, output.format == LOG_FORMAT_JSON, value, data[1] < 128);
	return 0;
}
