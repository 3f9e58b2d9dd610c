/* fuzz_publication - what a monitor or a worker that has gone mad tells the other.
 * The first byte chooses the message, the rest are its fields. Invariants: what is taken is within the bounds of a pool, and what it is
 * written as again is the input; a worker can make a plan of it.
 */
#include "frontend/backends.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>
#include <string.h>

/* Whether writing it again gives the same bytes. */
static void check_same(struct message_writer *writer, const uint8_t *data, size_t size)
{
	REQUIRE(message_end(writer, 0));
	REQUIRE(writer->len - MESSAGE_HEADER == size);
	REQUIRE(memcmp(writer->data + MESSAGE_HEADER, data, size) == 0);
	message_writer_cleanup(writer);
}

static void use_pool(const struct published_pool *word)
{
	static const char *none[] = { NULL };
	static struct config_server servers[2] = { { .host = "a", .name = "a" },
						   { .host = "b", .name = "b" } };
	const struct config_pool config = {
		.name = "pool",
		.servers = { servers, 2 },
		.capabilities = { none, 0 },
	};
	struct backends backends;
	struct backend_plan *plan;
	size_t fits = 0;

	for (size_t i = 0; i < word->count; i++)
		fits += word->targets[i].server < config.servers.count &&
			backends_allow(&config, &word->targets[i].address);
	REQUIRE(backends_init(&backends, &config) == 0);
	REQUIRE(backends_publish(&backends, word) == (fits > 0));
	plan = backends_plan(&backends, 1, 1);
	REQUIRE(plan && plan->count == fits);
	for (size_t i = 0; i < plan->count; i++)
		REQUIRE(address_is_loopback(&plan->choices[i].address.u.any));
	free(plan);
	backends_cleanup(&backends);
}

static void read_pool(struct message_reader *reader)
{
	struct published_pool word;
	struct message_writer writer;

	if (!publication_get_pool(reader, &word))
		return;
	REQUIRE(word.count <= CONFIG_SERVERS_MAX && !(word.extensions.set & ~EXTENSIONS_ALL));
	use_pool(&word);
	message_begin(&writer, WORK_MESSAGE_MAX, PUBLICATION_POOL);
	publication_put_pool(&writer, &word);
	check_same(&writer, reader->data, reader->len);
}

static void read_suspect(struct message_reader *reader)
{
	struct published_suspect suspect;
	struct message_writer writer;

	if (!publication_get_suspect(reader, &suspect))
		return;
	message_begin(&writer, WORK_MESSAGE_MAX, PUBLICATION_SUSPECT);
	publication_put_suspect(&writer, &suspect);
	check_same(&writer, reader->data, reader->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 2 || size > WORK_MESSAGE_MAX - MESSAGE_HEADER)
		return 0;
	copy = malloc(size - 1); /* of its own size, so that a byte too far is seen */
	REQUIRE(copy);
	memcpy(copy, data + 1, size - 1);
	struct message_reader reader = { .data = copy, .len = size - 1 };

	if (data[0] & 1)
		read_suspect(&reader);
	else
		read_pool(&reader);
	free(copy);
	return 0;
}
