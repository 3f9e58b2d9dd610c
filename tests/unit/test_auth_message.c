/* auth_message: what was encoded decodes, and nothing else does. Each message whole, at every prefix, with a byte too many, and
 * right before an unreadable page; bounds on both ends. */
#include "auth/auth_message.h"
#include "frontend/control.h"
#include "protocols/credential.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct auth_request requests[] = {
	{
		.type = AUTH_BEGIN,
		.exchange = { 0x0102030405060708, 9 },
		.service = { "smtp", 4 },
		.mechanism = { "PLAIN", 5 },
		.has_response = true,
		.response = { "AGFsaWNlAHNlY3JldA==", 20 },
		.local = { "192.0.2.1;587", 13 },
		.remote = { "2001:db8::1;40000", 17 },
		.tls_bits = 256,
	},
	{
		.type = AUTH_BEGIN,
		.exchange = { 1, 2 },
		.service = { "pop", 3 },
		.mechanism = { "LOGIN", 5 },
		.tls_bits = 128,
	},
	{
		.type = AUTH_BEGIN,
		.service = { "imap", 4 },
		.mechanism = { "PLAIN", 5 },
		.has_response = true,
	},
	{
		.type = AUTH_BEGIN,
		.service = { "imap", 4 },
		.mechanism = { "EXTERNAL", 8 },
		.external = { "alice@example.test", 18 },
		.has_response = true,
	},
	{
		.type = AUTH_CHECK,
		.exchange = { UINT64_MAX, UINT32_MAX },
		.service = { "imap", 4 },
		.user = { "j\xc3\xb6rg", 5 },
		.password = { "a\r\n\0b", 5 },
		.tls_bits = 256,
	},
	{
		.type = AUTH_CONTINUE,
		.exchange = { 3, 4 },
		.has_response = true,
		.response = { "c2VjcmV0", 8 },
	},
	{ .type = AUTH_CONTINUE, .exchange = { 3, 4 }, .has_response = true },
	{ .type = AUTH_CANCEL, .exchange = { 3, 5 } },
};

static const struct auth_answer answers[] = {
	{ .type = AUTH_CHALLENGE, .exchange = { 3, 4 }, .challenge = { "VXNlcm5hbWU6", 12 } },
	{ .type = AUTH_CHALLENGE, .exchange = { 3, 4 } },
	{ .type = AUTH_VERIFIED, .authcid = { "alice", 5 }, .authzid = { "bob", 3 } },
	{
		.type = AUTH_CAPTURED,
		.exchange = { 3, 4 },
		.authcid = { "alice", 5 },
		.authzid = { "alice", 5 },
		.password = { "sec\0ret", 7 },
	},
	{ .type = AUTH_REFUSED, .exchange = { 3, 4 }, .refusal = AUTH_REFUSED_CREDENTIAL },
	{ .type = AUTH_REFUSED, .exchange = { 3, 4 }, .authcid = { "alice", 5 } },
	{ .type = AUTH_REFUSED, .exchange = { 3, 4 }, .refusal = AUTH_REFUSED_ENCODING },
	{ .type = AUTH_TEMPORARY, .exchange = { 3, 4 } },
	{ .type = AUTH_TEMPORARY, .exchange = { 3, 4 }, .authcid = { "alice", 5 } },
	{ .type = AUTH_CHALLENGE, .challenge = { "cj14", 4 }, .authcid = { "alice", 5 } },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_span(struct span actual, struct span expected)
{
	assert_non_null(actual.data);
	assert_int_equal(actual.len, expected.len);
	if (expected.len > 0)
		assert_memory_equal(actual.data, expected.data, expected.len);
}

static void assert_request(const struct auth_request *actual, const struct auth_request *expected)
{
	assert_int_equal(actual->type, expected->type);
	assert_int_equal(actual->exchange.session, expected->exchange.session);
	assert_int_equal(actual->exchange.serial, expected->exchange.serial);
	assert_span(actual->service, expected->service);
	assert_span(actual->mechanism, expected->mechanism);
	assert_span(actual->external, expected->external);
	assert_span(actual->response, expected->response);
	assert_int_equal(actual->has_response, expected->has_response);
	assert_span(actual->user, expected->user);
	assert_span(actual->password, expected->password);
	assert_span(actual->local, expected->local);
	assert_span(actual->remote, expected->remote);
	assert_int_equal(actual->tls_bits, expected->tls_bits);
}

static void assert_answer(const struct auth_answer *actual, const struct auth_answer *expected)
{
	assert_int_equal(actual->type, expected->type);
	assert_int_equal(actual->exchange.session, expected->exchange.session);
	assert_int_equal(actual->exchange.serial, expected->exchange.serial);
	assert_span(actual->challenge, expected->challenge);
	assert_span(actual->authcid, expected->authcid);
	assert_span(actual->authzid, expected->authzid);
	assert_span(actual->password, expected->password);
	assert_int_equal(actual->refusal, expected->refusal);
}

/* Decodes the first `len` octets of a frame as if they were all of it, from memory that ends there. */
static bool decode(const struct message_writer *message, size_t len, bool answer,
		   struct auth_request *request_out, struct auth_answer *answer_out, char **storage)
{
	struct message_header header;
	struct message_reader reader;
	uint32_t length = (uint32_t)len;

	*storage = guard_copy(message->data, len);
	memcpy(*storage, &length, sizeof(length));
	assert_int_equal(message_peek((uint8_t *)*storage, len, WORK_MESSAGE_MAX, &header), 1);
	message_read(&reader, (uint8_t *)*storage, &header);
	return answer ? auth_answer_decode(&reader, header.type, answer_out)
		      : auth_request_decode(&reader, header.type, request_out);
}

static void every_request_comes_back(void **state)
{
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct message_writer message;
		struct auth_request out;
		char *storage;

		assert_true(auth_request_encode(&message, &requests[i]));
		assert_true(decode(&message, message.len, false, &out, NULL, &storage));
		assert_request(&out, &requests[i]);
		guard_free(storage, message.len);
		message_writer_cleanup(&message);
	}
}

static void every_answer_comes_back(void **state)
{
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct message_writer message;
		struct auth_answer out;
		char *storage;

		assert_true(auth_answer_encode(&message, &answers[i]));
		assert_true(decode(&message, message.len, true, NULL, &out, &storage));
		assert_answer(&out, &answers[i]);
		guard_free(storage, message.len);
		message_writer_cleanup(&message);
	}
}

static void refuse_prefixes(struct message_writer *message, bool answer)
{
	struct auth_request request;
	struct auth_answer out;
	struct message_header header;
	char *storage;

	for (size_t len = 0; len < message->len; len++)
		assert_int_equal(message_peek(message->data, len, WORK_MESSAGE_MAX, &header), 0);
	for (size_t len = MESSAGE_HEADER; len < message->len; len++) {
		assert_false(decode(message, len, answer, &request, &out, &storage));
		guard_free(storage, len);
	}
}

static void every_prefix_is_malformed(void **state)
{
	struct message_writer message;

	for (size_t i = 0; i < COUNT(requests); i++) {
		assert_true(auth_request_encode(&message, &requests[i]));
		refuse_prefixes(&message, false);
		message_writer_cleanup(&message);
	}
	for (size_t i = 0; i < COUNT(answers); i++) {
		assert_true(auth_answer_encode(&message, &answers[i]));
		refuse_prefixes(&message, true);
		message_writer_cleanup(&message);
	}
}

static void a_byte_left_over_is_malformed(void **state)
{
	struct auth_request request;
	struct auth_answer answer;
	struct message_writer message;
	char *storage;

	for (size_t i = 0; i < COUNT(requests); i++) {
		assert_true(auth_request_encode(&message, &requests[i]));
		message_put_u8(&message, 0);
		assert_false(decode(&message, message.len, false, &request, NULL, &storage));
		guard_free(storage, message.len);
		message_writer_cleanup(&message);
	}
	for (size_t i = 0; i < COUNT(answers); i++) {
		assert_true(auth_answer_encode(&message, &answers[i]));
		message_put_u8(&message, 0);
		assert_false(decode(&message, message.len, true, NULL, &answer, &storage));
		guard_free(storage, message.len);
		message_writer_cleanup(&message);
	}
}

static void types_of_the_other_direction_are_malformed(void **state)
{
	struct message_reader reader;
	struct auth_request request;
	struct auth_answer answer;
	const uint8_t exchange[12] = { 0 }, and_a_name[16] = { 0 };

	for (unsigned type = 0; type < 300; type++) {
		reader = (struct message_reader) { .data = exchange, .len = sizeof(exchange) };
		assert_int_equal(auth_request_decode(&reader, type, &request), type == AUTH_CANCEL);
		reader = (struct message_reader) { .data = and_a_name, .len = sizeof(and_a_name) };
		assert_int_equal(auth_answer_decode(&reader, type, &answer),
				 type == AUTH_TEMPORARY);
	}
}

static bool request_fits(const struct auth_request *request)
{
	struct message_writer message;
	struct auth_request out;
	bool fits = auth_request_encode(&message, request);

	if (fits) {
		char *storage;

		assert_true(decode(&message, message.len, false, &out, NULL, &storage));
		guard_free(storage, message.len);
	}
	message_writer_cleanup(&message);
	return fits;
}

static void requests_over_a_bound_are_not_encoded(void **state)
{
	static char bytes[AUTH_RESPONSE_MAX + 1];
	const struct span most = { bytes, AUTH_RESPONSE_MAX }, more = { bytes, sizeof(bytes) };
	struct auth_request request = requests[4];

	request.user = request.password = most;
	assert_true(request_fits(&request));
	request.user = more;
	assert_false(request_fits(&request));
	request = requests[4];
	request.password = more;
	assert_false(request_fits(&request));
	request = requests[0];
	request.response = most;
	assert_true(request_fits(&request));
	request.response = more;
	assert_false(request_fits(&request));
	request = requests[0];
	request.mechanism = most;
	assert_false(request_fits(&request));
	request = requests[0];
	request.service = most;
	assert_false(request_fits(&request));
	request = requests[0];
	request.external = (struct span) { bytes, CREDENTIAL_USER_MAX };
	assert_true(request_fits(&request));
	request.external.len++;
	assert_false(request_fits(&request));
	request = requests[0];
	request.remote = most;
	assert_false(request_fits(&request));
}

static void answers_over_a_bound_are_not_encoded(void **state)
{
	static char bytes[CREDENTIAL_PASSWORD_MAX + 1];
	struct auth_answer answer = answers[3];
	struct message_writer message;

	answer.password = (struct span) { bytes, CREDENTIAL_PASSWORD_MAX };
	answer.authcid = (struct span) { bytes, CREDENTIAL_USER_MAX };
	assert_true(auth_answer_encode(&message, &answer));
	message_writer_cleanup(&message);
	answer.password.len++;
	assert_false(auth_answer_encode(&message, &answer));
	message_writer_cleanup(&message);
	answer.password.len--;
	answer.authcid.len++;
	assert_false(auth_answer_encode(&message, &answer));
	message_writer_cleanup(&message);
}

/* What our own encoder never writes. */
static void values_out_of_range_are_malformed(void **state)
{
	struct auth_request request;
	struct auth_answer answer;
	struct message_writer message;
	char *storage;

	assert_true(auth_answer_encode(&message, &answers[4]));
	message.data[message.len - 5] = AUTH_REFUSED_ENCODING + 1; /* an empty name behind it */
	assert_false(decode(&message, message.len, true, NULL, &answer, &storage));
	guard_free(storage, message.len);
	message_writer_cleanup(&message);

	assert_true(auth_request_encode(&message, &requests[2]));
	message.data[message.len - 5] = 2; /* has_response; an empty response stands behind it */
	assert_false(decode(&message, message.len, false, &request, NULL, &storage));
	guard_free(storage, message.len);
	message_writer_cleanup(&message);

	assert_true(auth_request_encode(&message, &requests[0]));
	message.data[message.len - requests[0].response.len - 5] = 0; /* a response, yet none */
	assert_false(decode(&message, message.len, false, &request, NULL, &storage));
	guard_free(storage, message.len);
	message_writer_cleanup(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_comes_back),
		cmocka_unit_test(every_answer_comes_back),
		cmocka_unit_test(every_prefix_is_malformed),
		cmocka_unit_test(a_byte_left_over_is_malformed),
		cmocka_unit_test(types_of_the_other_direction_are_malformed),
		cmocka_unit_test(requests_over_a_bound_are_not_encoded),
		cmocka_unit_test(answers_over_a_bound_are_not_encoded),
		cmocka_unit_test(values_out_of_range_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
