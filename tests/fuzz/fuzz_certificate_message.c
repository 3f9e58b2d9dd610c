/* fuzz_certificate_message - the list of certificates and the files, from a supervisor or a child that has gone mad.
 * The first byte chooses the message, the rest are its fields. Invariant: what is taken is written again as the same octets.
 */
#include "frontend/certificate_message.h"
#include "tests/fuzz/require.h"
#include <string.h>

#define MAX 65536u

static void check_same(struct message_writer *writer, const struct message_reader *reader)
{
	REQUIRE(message_end(writer, 0));
	REQUIRE(writer->len - MESSAGE_HEADER == reader->len);
	REQUIRE(memcmp(writer->data + MESSAGE_HEADER, reader->data, reader->len) == 0);
}

static void read_list(struct message_reader *reader, struct message_writer *writer)
{
	struct arena *arena = arena_new();
	struct certificate_list list;

	if (certificate_get_list(reader, arena, &list)) {
		certificate_put_list(writer, &list);
		check_same(writer, reader);
	}
	arena_free(arena);
}

static void read_files(struct message_reader *reader, struct message_writer *writer, size_t nfds)
{
	int fds[CERTIFICATE_PARTS] = { 1000, 1001, 1002 }, sent[CERTIFICATE_PARTS];
	struct certificate_files files;

	if (!certificate_get_files(reader, fds, nfds, &files))
		return;
	REQUIRE(certificate_put_files(writer, &files, sent) == nfds);
	for (size_t i = 0; i < nfds; i++)
		REQUIRE(fds[i] == -1 && sent[i] == 1000 + (int)i);
	check_same(writer, reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_writer writer;
	uint8_t *copy;

	if (size < 2 || size > MAX - MESSAGE_HEADER)
		return 0;
	copy = malloc(size - 1); /* of its own size, so that a byte too far is seen */
	REQUIRE(copy);
	memcpy(copy, data + 1, size - 1);
	struct message_reader reader = { .data = copy, .len = size - 1 };

	message_begin(&writer, MAX, 1);
	if (data[0] & 1)
		read_files(&reader, &writer, data[0] >> 1 & 3);
	else
		read_list(&reader, &writer);
	message_writer_cleanup(&writer);
	free(copy);
	return 0;
}
