/* Any bytes as a packet between a worker and the keeper: what decodes stays within its bounds, points into the packet and encodes to
 * the same packet; and what the rules then let through is what they say, for whatever key it would be. */
#include "frontend/keeper_message.h"
#include "frontend/keeper_rules.h"
#include "tests/fuzz/require.h"

static const uint8_t *packet;
static size_t packet_len;

static void check_span(struct span span, size_t max)
{
	const uint8_t *begin = (const uint8_t *)span.data;

	REQUIRE(span.len <= max);
	REQUIRE(begin >= packet && begin + span.len == packet + packet_len);
}

/* Cheap, and enough for the fuzzer to meet masks of its own making. */
static bool digest(size_t digest_len, const void *in, size_t len, uint8_t *out)
{
	const uint8_t *octets = in;

	REQUIRE(len == digest_len + 4);
	for (size_t i = 0; i < digest_len; i++)
		out[i] = octets[i] ^ octets[len - 1];
	return true;
}

static void try_rules(const struct keeper_request *request)
{
	const uint8_t *in = (const uint8_t *)request->input.data;
	size_t len = request->input.len;
	struct keeper_subject subject = { .old_tls = request->id[0] & 1 };

	for (unsigned type = KEY_EC; type <= KEY_ED25519; type++) {
		bool allowed;

		subject.type = (enum key_type)type;
		subject.bits = (unsigned)len * 8 - request->id[1] % 8;
		allowed = keeper_may_sign(&subject, request->algorithm, in, len, digest);
		REQUIRE(!allowed || (type == KEY_RSA) == (request->algorithm == KEY_SIGN_RSA));
		if (allowed && type == KEY_RSA)
			REQUIRE(len >= 128 && (in[0] == 0 || in[len - 1] == 0xbc));
		if (allowed && type == KEY_EC)
			REQUIRE(len == 32 || len == 48 || len == 64 ||
				(len == 20 && subject.old_tls));
		if (allowed && type == KEY_ED25519)
			REQUIRE(memcmp(in + 64, "TLS 1.3, server", 15) == 0);
	}
}

static void try_request(void)
{
	uint8_t again[KEEPER_PACKET_MAX];
	struct keeper_request request;

	if (!keeper_request_decode(packet, packet_len, &request))
		return;
	REQUIRE(keeper_request_encode(again, &request) == packet_len);
	REQUIRE(memcmp(again, packet, packet_len) == 0);
	if (request.type != KEEPER_SIGN)
		return;
	check_span(request.input, KEEPER_INPUT_MAX);
	try_rules(&request);
}

static void try_answer(void)
{
	uint8_t again[KEEPER_PACKET_MAX];
	struct keeper_answer answer;

	if (!keeper_answer_decode(packet, packet_len, &answer))
		return;
	check_span(answer.output, KEEPER_OUTPUT_MAX);
	REQUIRE(answer.status <= KEEPER_NONE);
	REQUIRE(keeper_answer_encode(again, &answer) == packet_len);
	REQUIRE(memcmp(again, packet, packet_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	packet = data;
	packet_len = size;
	try_request();
	try_answer();
	return 0;
}
