/* dialogue_play - a client's bytes put into a dialogue, call by call, as a session does it; for unit tests.
 * What was decided is written down as text, so that two ways of feeding the same bytes can be compared.
 */
#ifndef TESTS_UNIT_DIALOGUE_PLAY_H
#define TESTS_UNIT_DIALOGUE_PLAY_H

#include "protocols/protocol.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static const char *const play_mechanisms[] = { "PLAIN", "LOGIN", NULL };
static const char *const play_capabilities[] = { NULL };
static const struct dialogue_settings play_settings = {
	.hostname = "mail.example.test",
	.mechanisms = play_mechanisms,
	.capabilities = play_capabilities,
	.line_max = 2000,
	.sasl_line_max = 16384,
	.literals_max = 16384,
};

struct dialogue_play {
	struct dialogue dialogue;
	char text[65536]; /* what was decided and replied */
	size_t len;
	struct decision last;
	char reply[OUTPUT_MAX]; /* of the last call */
};

static inline void dialogue_play_begin(struct dialogue_play *play, const struct protocol *protocol,
				       enum phase phase)
{
	play->len = 0;
	play->text[0] = '\0';
	dialogue_init(&play->dialogue, protocol, &play_settings, phase);
}

static inline void dialogue_play_note(struct dialogue_play *play, const struct decision *decision,
				      const struct output *output)
{
	struct span spans[] = { decision->mechanism, decision->response, decision->user,
				decision->password, decision->exposed_user };

	assert_false(output->overflow);
	assert_true(play->len + output->len < sizeof(play->text) - 100);
	memcpy(play->text + play->len, output->data, output->len);
	play->len += output->len;
	if (decision->type != DECIDE_MORE)
		play->len += (size_t)snprintf(play->text + play->len, 64, "<%d %d %d %d>",
					      (int)decision->type, (int)decision->refusal,
					      decision->exposed, decision->has_response);
	for (size_t i = 0; i < 5; i++)
		if (spans[i].len > 0 && play->len + spans[i].len < sizeof(play->text) - 100) {
			memcpy(play->text + play->len, spans[i].data, spans[i].len);
			play->len += spans[i].len;
		}
	play->text[play->len] = '\0';
}

/* One call, before an unreadable page. Exchanges are answered with VERDICT_REFUSED at once. Returns the bytes used. */
static inline size_t dialogue_play_call(struct dialogue_play *play, const char *bytes, size_t len)
{
	const struct protocol *protocol = play->dialogue.protocol;
	char *data = guard_copy(bytes, len);
	struct output output;

	output_init(&output, play->reply, sizeof(play->reply) - 1);
	size_t used = protocol->input(&play->dialogue, data, len, &output, &play->last);

	assert_true(used <= len);
	dialogue_play_note(play, &play->last, &output);
	play->reply[output.len] = '\0';
	guard_free(data, len);
	if (play->last.type >= DECIDE_AUTH_BEGIN && play->last.type <= DECIDE_PASSWORD) {
		output_init(&output, play->reply, sizeof(play->reply) - 1);
		protocol->verdict(&play->dialogue, VERDICT_REFUSED, SPAN(""), &output);
		dialogue_play_note(play, &(struct decision) { .type = DECIDE_MORE }, &output);
	}
	return used;
}

/* All of the bytes, `step` more of them at each call; ends with the session. */
static inline void dialogue_play_feed(struct dialogue_play *play, const char *bytes, size_t len,
				      size_t step)
{
	size_t start = 0, shown = 0;

	while (shown < len || start < shown) {
		if (shown < len)
			shown = len - shown > step ? shown + step : len;
		for (;;) {
			size_t used = dialogue_play_call(play, bytes + start, shown - start);

			start += used;
			if (play->last.type == DECIDE_CLOSE || play->last.type == DECIDE_START_TLS)
				return;
			if (used == 0 || start == shown)
				break;
		}
		if (shown == len)
			return;
	}
}

/* However the network cuts the bytes, the same is decided and replied, before TLS and inside. */
static inline void dialogue_play_cuts(const struct protocol *protocol, const char *text)
{
	static struct dialogue_play whole, cut;
	static const enum phase phases[] = { PHASE_PLAIN, PHASE_TLS };
	size_t len = strlen(text);

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		dialogue_play_begin(&whole, protocol, phases[i]);
		dialogue_play_feed(&whole, text, len, len);
		assert_true(whole.len > 0);
		for (size_t step = 1; step < len; step++) {
			dialogue_play_begin(&cut, protocol, phases[i]);
			dialogue_play_feed(&cut, text, len, step);
			assert_string_equal(cut.text, whole.text);
		}
	}
}

#endif
