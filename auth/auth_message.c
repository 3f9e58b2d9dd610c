/* auth_message - requests of a worker and answers of an auth process, as fields of a message.
 * Invariants: each field is checked against its bound on both ends, so what was encoded decodes and the largest message
 * stays below WORK_MESSAGE_MAX; what a type does not carry is empty after decoding; an empty span is never NULL.
 * Names and passwords are bounded by what a client may send before login (IMAP literals), not by what may be right: whether
 * they are acceptable is the auth process's verdict.
 */
#include "auth/auth_message.h"
#include "frontend/control.h"
#include "protocols/credential.h"

#define SERVICE_MAX   16
#define MECHANISM_MAX 64
#define NAME_MAX_SENT 16384
#define SECRET_MAX    16384
#define ADDRESS_MAX   80

_Static_assert(NAME_MAX_SENT + SECRET_MAX + 1024 < WORK_MESSAGE_MAX, "the largest request fits");

static void put_span(struct message_writer *message, struct span span, size_t max)
{
	if (span.len > max)
		message->failed = true;
	else
		message_put_bytes(message, span.len ? span.data : "", span.len);
}

static struct span get_span(struct message_reader *message, size_t max)
{
	size_t len;
	const char *data = message_get_bytes(message, &len);

	if (message->failed || len == 0)
		return SPAN("");
	if (len > max) {
		message->failed = true;
		return SPAN("");
	}
	return (struct span) { data, len };
}

static bool get_bool(struct message_reader *message)
{
	uint8_t value = message_get_u8(message);

	if (value > 1)
		message->failed = true;
	return value == 1;
}

static void put_exchange(struct message_writer *message, struct auth_exchange exchange)
{
	message_put_u64(message, exchange.session);
	message_put_u32(message, exchange.serial);
}

static struct auth_exchange get_exchange(struct message_reader *message)
{
	struct auth_exchange exchange = { .session = message_get_u64(message) };

	exchange.serial = message_get_u32(message);
	return exchange;
}

static void put_connection(struct message_writer *message, const struct auth_request *request)
{
	put_span(message, request->service, SERVICE_MAX);
	put_span(message, request->local, ADDRESS_MAX);
	put_span(message, request->remote, ADDRESS_MAX);
	message_put_u32(message, request->tls_bits);
	message_put_u8(message, request->decides);
}

static void get_connection(struct message_reader *message, struct auth_request *request)
{
	request->service = get_span(message, SERVICE_MAX);
	request->local = get_span(message, ADDRESS_MAX);
	request->remote = get_span(message, ADDRESS_MAX);
	request->tls_bits = message_get_u32(message);
	request->decides = get_bool(message);
}

bool auth_request_encode(struct message_writer *message, const struct auth_request *request)
{
	message_begin(message, WORK_MESSAGE_MAX, (uint16_t)request->type);
	put_exchange(message, request->exchange);
	switch (request->type) {
	case AUTH_BEGIN:
		put_connection(message, request);
		put_span(message, request->mechanism, MECHANISM_MAX);
		put_span(message, request->external, CREDENTIAL_USER_MAX);
		message_put_u8(message, request->has_response);
		put_span(message, request->response, AUTH_RESPONSE_MAX);
		break;
	case AUTH_CHECK:
		put_connection(message, request);
		put_span(message, request->user, NAME_MAX_SENT);
		put_span(message, request->password, SECRET_MAX);
		break;
	case AUTH_CONTINUE:
		put_span(message, request->response, AUTH_RESPONSE_MAX);
		break;
	case AUTH_CANCEL:
		break;
	default:
		message->failed = true;
	}
	return message_end(message, 0);
}

bool auth_request_decode(struct message_reader *message, unsigned type, struct auth_request *out)
{
	struct span none = SPAN("");

	*out = (struct auth_request) {
		.type = (enum auth_request_type)type,
		.exchange = get_exchange(message),
		.service = none,
		.mechanism = none,
		.response = none,
		.user = none,
		.password = none,
		.local = none,
		.remote = none,
		.external = none,
	};
	switch (type) {
	case AUTH_BEGIN:
		get_connection(message, out);
		out->mechanism = get_span(message, MECHANISM_MAX);
		out->external = get_span(message, CREDENTIAL_USER_MAX);
		out->has_response = get_bool(message);
		out->response = get_span(message, AUTH_RESPONSE_MAX);
		if (!out->has_response && out->response.len > 0)
			return false;
		break;
	case AUTH_CHECK:
		get_connection(message, out);
		out->user = get_span(message, NAME_MAX_SENT);
		out->password = get_span(message, SECRET_MAX);
		break;
	case AUTH_CONTINUE:
		out->response = get_span(message, AUTH_RESPONSE_MAX);
		out->has_response = true;
		break;
	case AUTH_CANCEL:
		break;
	default:
		return false;
	}
	return message_done(message);
}

bool auth_answer_encode(struct message_writer *message, const struct auth_answer *answer)
{
	message_begin(message, WORK_MESSAGE_MAX, (uint16_t)answer->type);
	put_exchange(message, answer->exchange);
	switch (answer->type) {
	case AUTH_CHALLENGE:
		put_span(message, answer->challenge, AUTH_RESPONSE_MAX);
		put_span(message, answer->authcid, CREDENTIAL_USER_MAX);
		break;
	case AUTH_VERIFIED:
		put_span(message, answer->authcid, CREDENTIAL_USER_MAX);
		put_span(message, answer->authzid, CREDENTIAL_USER_MAX);
		break;
	case AUTH_CAPTURED:
		put_span(message, answer->authcid, CREDENTIAL_USER_MAX);
		put_span(message, answer->authzid, CREDENTIAL_USER_MAX);
		put_span(message, answer->password, CREDENTIAL_PASSWORD_MAX);
		break;
	case AUTH_REFUSED:
		message_put_u8(message, (uint8_t)answer->refusal);
		put_span(message, answer->authcid, CREDENTIAL_USER_MAX);
		break;
	case AUTH_TEMPORARY:
		put_span(message, answer->authcid, CREDENTIAL_USER_MAX);
		break;
	default:
		message->failed = true;
	}
	return message_end(message, 0);
}

bool auth_answer_decode(struct message_reader *message, unsigned type, struct auth_answer *out)
{
	struct span none = SPAN("");
	uint8_t refusal;

	*out = (struct auth_answer) {
		.type = (enum auth_answer_type)type,
		.exchange = get_exchange(message),
		.challenge = none,
		.authcid = none,
		.authzid = none,
		.password = none,
	};
	switch (type) {
	case AUTH_CHALLENGE:
		out->challenge = get_span(message, AUTH_RESPONSE_MAX);
		out->authcid = get_span(message, CREDENTIAL_USER_MAX);
		break;
	case AUTH_VERIFIED:
	case AUTH_CAPTURED:
		out->authcid = get_span(message, CREDENTIAL_USER_MAX);
		out->authzid = get_span(message, CREDENTIAL_USER_MAX);
		if (type == AUTH_CAPTURED)
			out->password = get_span(message, CREDENTIAL_PASSWORD_MAX);
		break;
	case AUTH_REFUSED:
		refusal = message_get_u8(message);
		if (refusal > AUTH_REFUSED_ENCODING)
			return false;
		out->refusal = (enum auth_refusal)refusal;
		out->authcid = get_span(message, CREDENTIAL_USER_MAX);
		break;
	case AUTH_TEMPORARY:
		out->authcid = get_span(message, CREDENTIAL_USER_MAX);
		break;
	default:
		return false;
	}
	return message_done(message);
}
