/* fuzz_smtp_data - where a message ends, against a plain definition. The first byte is the size of the pieces. */
#include "protocols/smtp_data.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The first byte that may not be in a message; a CR at the very end is not judged yet. */
static size_t find_bad(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\0' || data[i] == '\n')
			return i;
		if (data[i] != '\r')
			continue;
		if (i + 1 < len && data[i + 1] != '\n')
			return i;
		i++;
	}
	return len;
}

static size_t find_end(const char *data, size_t len)
{
	const char *found;

	if (len >= 3 && memcmp(data, ".\r\n", 3) == 0)
		return 3;
	found = len > 0 ? memmem(data, len, "\r\n.\r\n", 5) : NULL;
	return found ? (size_t)(found - data) + 5 : SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct smtp_data state = { false };
	enum smtp_data_result result = SMTP_DATA_MORE;
	const char *data = (const char *)bytes + 1;
	size_t piece, passed = 0, shown = 0;

	if (len < 1)
		return 0;
	piece = (size_t)bytes[0] + 1;
	len--;
	while (result == SMTP_DATA_MORE && passed + shown < len) {
		size_t used;

		shown = len - passed - shown > piece ? shown + piece : len - passed;
		result = smtp_data_scan(&state, data + passed, shown, &used);
		check(used <= shown);
		passed += used;
		shown -= used;
		if (result == SMTP_DATA_MORE)
			check(shown <= 4);
	}
	size_t bad = find_bad(data, len), end = find_end(data, len);

	if (end <= bad)
		check(result == SMTP_DATA_END && passed == end);
	else if (bad < len)
		check(result == SMTP_DATA_BAD && passed == bad);
	else
		check(result == SMTP_DATA_MORE && len - passed <= 4);
	return 0;
}
