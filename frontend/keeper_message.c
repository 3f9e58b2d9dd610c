/* keeper_message - see keeper_message.h. */
#include "frontend/keeper_message.h"

#define VERSION     1
#define HEADER_LEN  6
#define SIGN_HEADER (HEADER_LEN + KEY_ID_LEN + 1)

_Static_assert(SIGN_HEADER + KEEPER_INPUT_MAX <= KEEPER_PACKET_MAX, "a request fits a packet");
_Static_assert(HEADER_LEN + KEEPER_OUTPUT_MAX <= KEEPER_PACKET_MAX, "an answer fits a packet");
_Static_assert(KEY_SIGNATURE_MAX <= KEEPER_OUTPUT_MAX, "a signature fits an answer");

static void put_header(uint8_t *out, unsigned value, uint32_t sequence)
{
	out[0] = VERSION;
	out[1] = (uint8_t)value;
	memcpy(out + 2, &sequence, sizeof(sequence));
}

static size_t put_rest(uint8_t *out, size_t at, struct span rest)
{
	if (rest.len > 0)
		memcpy(out + at, rest.data, rest.len);
	return at + rest.len;
}

size_t keeper_request_encode(uint8_t out[KEEPER_PACKET_MAX], const struct keeper_request *request)
{
	put_header(out, request->type, request->sequence);
	if (request->type == KEEPER_TICKETS)
		return HEADER_LEN;
	if (request->input.len > KEEPER_INPUT_MAX)
		return 0;
	memcpy(out + HEADER_LEN, request->id, KEY_ID_LEN);
	out[SIGN_HEADER - 1] = (uint8_t)request->algorithm;
	return put_rest(out, SIGN_HEADER, request->input);
}

size_t keeper_answer_encode(uint8_t out[KEEPER_PACKET_MAX], const struct keeper_answer *answer)
{
	put_header(out, answer->status, answer->sequence);
	if (answer->output.len > KEEPER_OUTPUT_MAX)
		return 0;
	return put_rest(out, HEADER_LEN, answer->output);
}

static bool get_header(const uint8_t *packet, size_t len, unsigned *value, uint32_t *sequence)
{
	if (len < HEADER_LEN || packet[0] != VERSION)
		return false;
	*value = packet[1];
	memcpy(sequence, packet + 2, sizeof(*sequence));
	return true;
}

bool keeper_request_decode(const uint8_t *packet, size_t len, struct keeper_request *out)
{
	unsigned type;

	*out = (struct keeper_request) { 0 };
	if (!get_header(packet, len, &type, &out->sequence))
		return false;
	out->type = (enum keeper_request_type)type;
	if (type == KEEPER_TICKETS)
		return len == HEADER_LEN;
	if (type != KEEPER_SIGN || len < SIGN_HEADER || len > SIGN_HEADER + KEEPER_INPUT_MAX ||
	    packet[SIGN_HEADER - 1] > KEY_SIGN_ED25519)
		return false;
	memcpy(out->id, packet + HEADER_LEN, KEY_ID_LEN);
	out->algorithm = (enum key_algorithm)packet[SIGN_HEADER - 1];
	out->input = (struct span) { (const char *)packet + SIGN_HEADER, len - SIGN_HEADER };
	return true;
}

bool keeper_answer_decode(const uint8_t *packet, size_t len, struct keeper_answer *out)
{
	unsigned status;

	*out = (struct keeper_answer) { 0 };
	if (!get_header(packet, len, &status, &out->sequence) || status > KEEPER_NONE ||
	    len > HEADER_LEN + KEEPER_OUTPUT_MAX)
		return false;
	out->status = (enum keeper_status)status;
	out->output = (struct span) { (const char *)packet + HEADER_LEN, len - HEADER_LEN };
	return true;
}
