/* Any bytes as frames between a worker and an auth process: what decodes stays within its bounds and points into the frame, and
 * encodes to a message that decodes to the same. */
#include "auth/auth_message.h"
#include "frontend/control.h"
#include "protocols/credential.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static const uint8_t *frame;
static size_t frame_len;

static void check_span(struct span span, size_t max)
{
	CHECK(span.data != NULL && span.len <= max);
	if (span.len > 0)
		CHECK((const uint8_t *)span.data >= frame + MESSAGE_HEADER &&
		      (const uint8_t *)span.data + span.len <= frame + frame_len);
}

static void check_same_frame(struct message_writer *message, bool encoded)
{
	CHECK(encoded && message->len == frame_len);
	CHECK(memcmp(message->data + MESSAGE_HEADER, frame + MESSAGE_HEADER,
		     frame_len - MESSAGE_HEADER) == 0);
	message_writer_cleanup(message);
}

static void try_request(const struct message_header *header)
{
	struct message_reader reader;
	struct message_writer again;
	struct auth_request request;

	message_read(&reader, frame, header);
	if (!auth_request_decode(&reader, header->type, &request))
		return;
	check_span(request.service, 16);
	check_span(request.mechanism, 64);
	check_span(request.external, CREDENTIAL_USER_MAX);
	check_span(request.response, AUTH_RESPONSE_MAX);
	check_span(request.user, 16384);
	check_span(request.password, 16384);
	check_span(request.local, 80);
	check_span(request.remote, 80);
	CHECK(request.has_response || request.response.len == 0);
	check_same_frame(&again, auth_request_encode(&again, &request));
}

static void try_answer(const struct message_header *header)
{
	struct message_reader reader;
	struct message_writer again;
	struct auth_answer answer;

	message_read(&reader, frame, header);
	if (!auth_answer_decode(&reader, header->type, &answer))
		return;
	check_span(answer.challenge, AUTH_RESPONSE_MAX);
	check_span(answer.authcid, CREDENTIAL_USER_MAX);
	check_span(answer.authzid, CREDENTIAL_USER_MAX);
	check_span(answer.password, CREDENTIAL_PASSWORD_MAX);
	CHECK(answer.refusal <= AUTH_REFUSED_ENCODING);
	check_same_frame(&again, auth_answer_encode(&again, &answer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_header header;

	while (message_peek(data, size, WORK_MESSAGE_MAX, &header) == 1) {
		CHECK(header.length >= MESSAGE_HEADER && header.length <= size);
		frame = data;
		frame_len = header.length;
		try_request(&header);
		try_answer(&header);
		data += header.length;
		size -= header.length;
	}
	return 0;
}
