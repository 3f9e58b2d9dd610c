/* fuzz_dialogue - what the fuzzers of the dialogues share: a session that shows bytes to a protocol and obeys its decisions.
 * First byte of an input: bit 0 begins in TLS, bit 1 shows the bytes one by one, bits 2-4 choose the verdicts, bits 5-6 the
 * bounds. Invariants asserted: nothing used beyond what was shown, replies fit and are whole lines, a decision always uses
 * bytes, before TLS no decision carries a credential, spans stay within the bytes or the dialogue, and the same bytes
 * shown whole or one by one lead to the same decisions and replies.
 */
#ifndef TESTS_FUZZ_FUZZ_DIALOGUE_H
#define TESTS_FUZZ_FUZZ_DIALOGUE_H

#include "protocols/protocol.h"
#include "tests/fuzz/require.h"
#include <stdint.h>
#include <stdlib.h>

struct fuzz_session {
	struct dialogue dialogue;
	struct dialogue_settings settings;
	unsigned options, verdicts;
	uint64_t transcript; /* a hash of all that was decided and replied */
	bool over;
};

static void fuzz_note(struct fuzz_session *session, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		session->transcript = (session->transcript ^ bytes[i]) * 1099511628211u;
}

static void fuzz_span(struct fuzz_session *session, struct span span, const char *data, size_t len)
{
	const char *own = (const char *)&session->dialogue;
	bool is_own = span.data >= own && span.data + span.len <= own + sizeof(session->dialogue);

	if (span.len == 0)
		return;
	REQUIRE((span.data >= data && span.data + span.len <= data + len) || is_own);
	fuzz_note(session, span.data, span.len);
}

static void fuzz_decision(struct fuzz_session *session, const struct decision *decision,
			  const char *data, size_t len)
{
	bool credential = decision->type >= DECIDE_AUTH_BEGIN && decision->type <= DECIDE_PASSWORD;

	if (session->dialogue.phase == PHASE_PLAIN)
		REQUIRE(!credential);
	REQUIRE(!decision->exposed || session->dialogue.phase == PHASE_PLAIN);
	REQUIRE(decision->exposed || decision->exposed_user.len == 0);
	if (decision->type == DECIDE_MORE)
		return;
	fuzz_note(session, &decision->type, sizeof(decision->type));
	fuzz_note(session, &decision->refusal, sizeof(decision->refusal));
	fuzz_note(session, &decision->exposed, 1);
	fuzz_note(session, &decision->has_response, 1);
	fuzz_span(session, decision->response, data, len);
	fuzz_span(session, decision->user, data, len);
	fuzz_span(session, decision->password, data, len);
	fuzz_span(session, decision->exposed_user, data, len);
	fuzz_note(session, decision->mechanism.data, decision->mechanism.len);
}

static void fuzz_reply(struct fuzz_session *session, const struct output *output)
{
	REQUIRE(!output->overflow && output->len <= output->max);
	if (output->len > 0)
		REQUIRE(output->len >= 2 && memcmp(output->data + output->len - 2, "\r\n", 2) == 0);
	fuzz_note(session, output->data, output->len);
}

static void fuzz_verdict(struct fuzz_session *session)
{
	static const enum verdict verdicts[] = { VERDICT_CHALLENGE,    VERDICT_REFUSED,
						 VERDICT_TEMPORARY,    VERDICT_CHALLENGE,
						 VERDICT_BAD_ENCODING, VERDICT_CANCELLED,
						 VERDICT_UNAUTHORIZED, VERDICT_ACCEPTED };
	char storage[OUTPUT_MAX];
	struct output output;
	enum verdict verdict = verdicts[session->verdicts++ % 8];

	output_init(&output, storage, sizeof(storage));
	session->dialogue.protocol->verdict(&session->dialogue, verdict, SPAN(""), &output);
	REQUIRE(output.len > 0);
	REQUIRE(session->dialogue.awaiting_response == (verdict == VERDICT_CHALLENGE));
	fuzz_reply(session, &output);
	session->over = verdict == VERDICT_ACCEPTED;
}

/* Shows len bytes in a block of exactly that size. Returns the bytes used. */
static size_t fuzz_show(struct fuzz_session *session, const uint8_t *bytes, size_t len)
{
	struct decision decision = { .type = DECIDE_MORE };
	char storage[OUTPUT_MAX];
	struct output output;
	char *data = malloc(len + (len == 0));

	REQUIRE(data);
	memcpy(data, bytes, len);
	output_init(&output, storage, sizeof(storage));
	size_t used = session->dialogue.protocol->input(&session->dialogue, data, len, &output,
							&decision);

	REQUIRE(used <= len);
	REQUIRE((used > 0) == (decision.type != DECIDE_MORE) || decision.type == DECIDE_CLOSE);
	fuzz_reply(session, &output);
	fuzz_decision(session, &decision, data, len);
	free(data);
	if (decision.type == DECIDE_CLOSE)
		session->over = true;
	if (decision.type == DECIDE_START_TLS) {
		REQUIRE(session->dialogue.phase == PHASE_PLAIN);
		dialogue_init(&session->dialogue, session->dialogue.protocol, &session->settings,
			      PHASE_TLS);
	}
	if (decision.type >= DECIDE_AUTH_BEGIN && decision.type <= DECIDE_PASSWORD)
		fuzz_verdict(session);
	return used;
}

static uint64_t fuzz_play(const struct protocol *protocol, unsigned options, bool by_byte,
			  const uint8_t *bytes, size_t len)
{
	static const char *const mechanisms[] = { "PLAIN", "LOGIN", NULL };
	static const char *const capabilities[] = { "TOP", "UIDL", "SIZE 1000", NULL };
	static const size_t bounds[] = { 2000, 512, 64, 8192 };
	struct fuzz_session session = { .options = options, .verdicts = options >> 2 & 7 };
	size_t start = 0, shown = 0;

	session.settings = (struct dialogue_settings) {
		.hostname = "mail.example.test",
		.mechanisms = mechanisms,
		.capabilities = capabilities,
		.line_max = bounds[options >> 5 & 3],
		.sasl_line_max = 2 * bounds[options >> 5 & 3],
		.literals_max = bounds[options >> 5 & 3],
	};
	dialogue_init(&session.dialogue, protocol, &session.settings,
		      options & 1 ? PHASE_TLS : PHASE_PLAIN);
	while (!session.over && shown < len) {
		shown = by_byte ? shown + 1 : len;
		for (size_t used = 1; used > 0 && start < shown && !session.over; start += used)
			used = fuzz_show(&session, bytes + start, shown - start);
	}
	dialogue_wipe(&session.dialogue);
	return session.transcript;
}

static int fuzz_dialogue(const struct protocol *protocol, const uint8_t *bytes, size_t len)
{
	if (len == 0 || len > 20000)
		return 0;
	uint64_t whole = fuzz_play(protocol, bytes[0], false, bytes + 1, len - 1);

	/* One by one takes a time that grows with the square; shorter inputs find the same. */
	if ((bytes[0] & 2) && len < 1024)
		REQUIRE(fuzz_play(protocol, bytes[0], true, bytes + 1, len - 1) == whole);
	return 0;
}

#endif
