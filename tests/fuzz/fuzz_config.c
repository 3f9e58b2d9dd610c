/* fuzz_config - a section of the configuration as a supervisor that has gone mad would send it.
 * The first byte chooses the child, the rest are the fields. Invariants: nothing is read beyond them, nothing of the result points
 * there; what is taken encodes to a section that is taken again, and to the same bytes.
 */
#include "frontend/config_load.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>
#include <string.h>

static struct config *take(const uint8_t *fields, size_t size, enum child_kind kind)
{
	uint8_t *copy = malloc(size + !size); /* of its own size, so that a byte too far is seen */
	struct message_reader reader = { .data = copy, .len = size };
	struct config *config;

	REQUIRE(copy);
	memcpy(copy, fields, size);
	config = config_decode(&reader, kind);
	free(copy);
	return config;
}

static void write_section(struct message_writer *writer, const struct config *config,
			  enum child_kind kind)
{
	message_begin(writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	config_encode(writer, config, kind);
	REQUIRE(message_end(writer, 0));
}

static void check_again(const struct config *config, enum child_kind kind)
{
	struct message_writer first, second;
	struct config *again;

	write_section(&first, config, kind);
	again = take(first.data + MESSAGE_HEADER, first.len - MESSAGE_HEADER, kind);
	REQUIRE(again);
	write_section(&second, again, kind);
	REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	message_writer_cleanup(&first);
	message_writer_cleanup(&second);
	config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum child_kind kinds[] = { CHILD_WORKER,  CHILD_AUTH,   CHILD_MONITOR,
						 CHILD_CHECKER, CHILD_KEEPER, CHILD_TOKEN };
	enum child_kind kind;
	struct config *config;

	if (size < 1 || size > CONTROL_MESSAGE_MAX / 2)
		return 0;
	kind = kinds[data[0] % 6];
	config = take(data + 1, size - 1, kind);
	if (config == NULL)
		return 0;
	check_again(config, kind);
	config_free(config);
	return 0;
}
