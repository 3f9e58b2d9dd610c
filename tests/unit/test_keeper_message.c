/* Packets between a worker and the keeper: what comes back is what went in; whatever is not whole is refused. */
#include "frontend/keeper_message.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint8_t packet[KEEPER_PACKET_MAX];

static struct keeper_request sign_request(size_t input_len)
{
	static char input[KEEPER_INPUT_MAX + 1];
	struct keeper_request request = { .type = KEEPER_SIGN,
					  .sequence = 0x01020304,
					  .algorithm = KEY_SIGN_RSA,
					  .input = { input, input_len } };

	memset(input, 0x5a, sizeof(input));
	memset(request.id, 7, sizeof(request.id));
	return request;
}

/* At the end of a page: a byte too far would be a crash. */
static bool decode_request(size_t len, struct keeper_request *out)
{
	char *copy = guard_copy(packet, len);
	bool done = keeper_request_decode((const uint8_t *)copy, len, out);

	guard_free(copy, len);
	return done;
}

static bool decode_answer(size_t len, struct keeper_answer *out)
{
	char *copy = guard_copy(packet, len);
	bool done = keeper_answer_decode((const uint8_t *)copy, len, out);

	guard_free(copy, len);
	return done;
}

static void requests_come_back_as_they_were(void **state)
{
	const size_t lens[] = { 0, 32, 256, KEEPER_INPUT_MAX };

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct keeper_request request = sign_request(lens[i]), out;
		size_t len = keeper_request_encode(packet, &request);

		assert_int_equal(len, 39 + lens[i]);
		assert_true(keeper_request_decode(packet, len, &out));
		assert_int_equal(out.type, KEEPER_SIGN);
		assert_int_equal(out.sequence, request.sequence);
		assert_int_equal(out.algorithm, KEY_SIGN_RSA);
		assert_memory_equal(out.id, request.id, KEY_ID_LEN);
		assert_int_equal(out.input.len, lens[i]);
		assert_memory_equal(out.input.data, request.input.data, lens[i]);
	}
}

static void tickets_are_asked_for_with_a_number_alone(void **state)
{
	struct keeper_request request = { .type = KEEPER_TICKETS, .sequence = 9 }, out;
	size_t len = keeper_request_encode(packet, &request);

	assert_true(decode_request(len, &out));
	assert_int_equal(out.type, KEEPER_TICKETS);
	assert_int_equal(out.sequence, 9);
	assert_false(decode_request(len + 1, &out));
}

static void answers_come_back_as_they_were(void **state)
{
	char output[KEEPER_OUTPUT_MAX];

	memset(output, 0x33, sizeof(output));
	for (unsigned status = KEEPER_DONE; status <= KEEPER_NONE; status++) {
		struct keeper_answer answer = { 77, (enum keeper_status)status, { output, 64 } },
				     out;
		size_t len = keeper_answer_encode(packet, &answer);

		assert_true(keeper_answer_decode(packet, len, &out));
		assert_int_equal(out.sequence, 77);
		assert_int_equal(out.status, status);
		assert_int_equal(out.output.len, 64);
		assert_memory_equal(out.output.data, output, 64);
	}
}

static void what_is_too_long_is_not_encoded(void **state)
{
	struct keeper_request request = sign_request(KEEPER_INPUT_MAX + 1);
	struct keeper_answer answer = { 1, KEEPER_DONE, { (char *)packet, KEEPER_OUTPUT_MAX + 1 } };
	uint8_t out[KEEPER_PACKET_MAX];

	assert_int_equal(keeper_request_encode(out, &request), 0);
	assert_int_equal(keeper_answer_encode(out, &answer), 0);
}

static void a_request_that_is_cut_is_refused(void **state)
{
	struct keeper_request request = sign_request(32), out;
	size_t whole = keeper_request_encode(packet, &request);

	for (size_t len = 0; len < whole - 32; len++)
		assert_false(decode_request(len, &out));
	assert_true(decode_request(whole, &out));
	assert_false(decode_request(39 + KEEPER_INPUT_MAX + 1, &out));
}

static void an_answer_that_is_cut_is_refused(void **state)
{
	struct keeper_answer answer = { 1, KEEPER_REFUSED, { NULL, 0 } }, out;
	size_t whole = keeper_answer_encode(packet, &answer);

	for (size_t len = 0; len < whole; len++)
		assert_false(decode_answer(len, &out));
	assert_true(decode_answer(whole, &out));
	assert_false(decode_answer(whole + KEEPER_OUTPUT_MAX + 1, &out));
}

static void unknown_values_are_refused(void **state)
{
	const struct {
		size_t at;
		uint8_t value;
	} cases[] = { { 0, 0 }, { 0, 2 }, { 1, 0 }, { 1, 3 }, { 38, 3 }, { 38, 255 } };
	struct keeper_request request = sign_request(32), out;
	struct keeper_answer answer = { 1, KEEPER_DONE, { NULL, 0 } }, got;
	size_t len;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = keeper_request_encode(packet, &request);
		packet[cases[i].at] = cases[i].value;
		assert_false(decode_request(len, &out));
	}
	len = keeper_answer_encode(packet, &answer);
	packet[1] = KEEPER_NONE + 1;
	assert_false(decode_answer(len, &got));
	packet[1] = KEEPER_DONE;
	packet[0] = 2;
	assert_false(decode_answer(len, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_back_as_they_were),
		cmocka_unit_test(tickets_are_asked_for_with_a_number_alone),
		cmocka_unit_test(answers_come_back_as_they_were),
		cmocka_unit_test(what_is_too_long_is_not_encoded),
		cmocka_unit_test(a_request_that_is_cut_is_refused),
		cmocka_unit_test(an_answer_that_is_cut_is_refused),
		cmocka_unit_test(unknown_values_are_refused),
	};

	return cmocka_run_group_tests_name("keeper_message", tests, NULL, NULL);
}
