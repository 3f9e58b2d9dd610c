/* fuzz_message - frames of a peer that has gone mad: through message_peek() and every getter, and through a channel.
 * The first byte chooses: the getters are called in an order that the second part of the input names; or the bytes go
 * through a socket pair in pieces. Invariants: the reader stays within its frame; the channel hands out exactly the
 * frames that message_peek() finds, in whatever pieces they come, and ends where the first malformed one stands.
 */
#include "frontend/channel.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX 4096

/* ---- the codec ---- */

static void get_one(struct message_reader *reader, unsigned what)
{
	const uint8_t *end = reader->data + reader->len;
	size_t before = reader->pos, len = 0;
	const uint8_t *bytes;
	const char *text;

	switch (what % 5) {
	case 0:
		message_get_u8(reader);
		break;
	case 1:
		message_get_u32(reader);
		break;
	case 2:
		message_get_u64(reader);
		break;
	case 3:
		bytes = message_get_bytes(reader, &len);
		REQUIRE(bytes ? bytes >= reader->data && bytes + len <= end : len == 0);
		REQUIRE(bytes || reader->failed);
		break;
	default:
		text = message_get_string(reader);
		if (text)
			REQUIRE((const uint8_t *)text + strlen(text) < end);
	}
	REQUIRE(reader->pos >= before && reader->pos <= reader->len);
	REQUIRE(reader->failed || reader->pos > before);
	REQUIRE(!message_done(reader) || (!reader->failed && reader->pos == reader->len));
}

static void read_fields(const uint8_t *data, size_t size)
{
	struct message_header header;
	struct message_reader reader;
	size_t steps = size < 16 ? size : 16;
	const uint8_t *order = data;

	data += steps;
	size -= steps;
	if (message_peek(data, size, MAX, &header) != 1)
		return;
	REQUIRE(header.length >= MESSAGE_HEADER && header.length <= size && header.length <= MAX);

	/* a copy of its own, so that a byte too far is seen */
	uint8_t *frame = malloc(header.length);

	memcpy(frame, data, header.length);
	message_read(&reader, frame, &header);
	for (size_t i = 0; i < steps; i++)
		get_one(&reader, order[i]);
	free(frame);
}

/* ---- the channel ---- */

struct seen {
	struct channel channel;
	unsigned messages, closed;
	size_t bytes;
};

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct seen *seen = channel->owner;

	seen->messages++;
	seen->bytes += reader->len + MESSAGE_HEADER;
	REQUIRE(nfds == 0);
}

static void on_closed(struct channel *channel, const char *why)
{
	struct seen *seen = channel->owner;

	seen->closed++;
	channel_cleanup(channel);
}

/* How many good frames stand there, and whether a breach follows them: no descriptors come here, so none may be announced. */
static unsigned count_frames(const uint8_t *data, size_t size, bool *breach)
{
	struct message_header header;
	unsigned count = 0;
	int whole;

	while ((whole = message_peek(data, size, MAX, &header)) == 1 && header.descriptors == 0) {
		data += header.length;
		size -= header.length;
		count++;
	}
	*breach = whole < 0 || (size >= MESSAGE_HEADER && header.descriptors != 0);
	return count;
}

static void run_channel(const uint8_t *data, size_t size)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	static struct ev_loop *loop;
	struct seen seen = { 0 };
	int fds[2];
	bool breach;

	if (size < 1 || size > 32768)
		return;
	if (!loop)
		loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	REQUIRE(channel_pair(fds) == 0);
	REQUIRE(channel_init(&seen.channel, loop, fds[0], MAX, MAX, &handlers, &seen) == 0);

	size_t piece = 1 + (size_t)data[0] * 16;

	data++;
	size--;
	for (size_t at = 0; at < size && !seen.closed; at += piece) {
		size_t len = size - at < piece ? size - at : piece;

		REQUIRE(send(fds[1], data + at, len, MSG_NOSIGNAL) == (ssize_t)len);
		ev_run(loop, EVRUN_NOWAIT);
	}
	for (int i = 0; i < 16 && !seen.closed; i++)
		ev_run(loop, EVRUN_NOWAIT);
	REQUIRE(seen.messages == count_frames(data, size, &breach));
	REQUIRE(seen.closed == breach && seen.bytes <= size);
	channel_cleanup(&seen.channel);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		run_channel(data + 1, size - 1);
	else
		read_fields(data + 1, size - 1);
	return 0;
}
