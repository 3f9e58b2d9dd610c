/* fuzz_smtp - the submission dialogue before login. The first byte chooses the phase and the first verdict, the rest is
 * what the client sends, played whole and byte by byte: both must end in the same replies.
 */
#include "protocols/protocol.h"
#include <stdint.h>
#include <stdlib.h>

#define REPLIES_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct transcript {
	char data[REPLIES_MAX];
	size_t len;
};

static bool inside(struct span span, const char *data, size_t len)
{
	return span.len == 0 || (span.data >= data && span.data + span.len <= data + len);
}

static void check_decision(const struct dialogue *d, const struct decision *decision,
			   const char *data, size_t len, size_t used)
{
	check(used <= len);
	check((decision->type == DECIDE_MORE) == (used == 0));
	check(inside(decision->response, data, len));
	check(decision->type != DECIDE_PASSWORD);
	if (d->phase == PHASE_PLAIN) {
		check(decision->type != DECIDE_AUTH_BEGIN);
		check(decision->type != DECIDE_AUTH_RESPONSE);
	} else {
		check(decision->type != DECIDE_START_TLS && !decision->exposed);
	}
	if (decision->type == DECIDE_AUTH_BEGIN)
		check(span_is(decision->mechanism, "PLAIN") ||
		      span_is(decision->mechanism, "LOGIN"));
}

static void keep(struct transcript *transcript, const struct output *output)
{
	check(!output->overflow);
	check(output->len == 0 || (output->len > 2 && output->data[output->len - 1] == '\n'));
	check(!memchr(output->data, '\0', output->len));
	if (transcript->len + output->len <= sizeof(transcript->data)) {
		memcpy(transcript->data + transcript->len, output->data, output->len);
		transcript->len += output->len;
	}
}

/* The session's part: a verdict for each exchange, a handshake for STARTTLS. False at the end. */
static bool carry_out(struct dialogue *d, const struct decision *decision, unsigned *verdict,
		      struct output *output)
{
	switch (decision->type) {
	case DECIDE_CLOSE:
		return false;
	case DECIDE_START_TLS:
		dialogue_init(d, d->protocol, d->settings, PHASE_TLS);
		break;
	case DECIDE_AUTH_CANCEL:
		d->protocol->verdict(d, VERDICT_CANCELLED, SPAN(""), output);
		break;
	case DECIDE_AUTH_BEGIN:
	case DECIDE_AUTH_RESPONSE:
		*verdict = (*verdict + 3) % (VERDICT_TEMPORARY + 1);
		d->protocol->verdict(d, (enum verdict) * verdict, SPAN("VXNlcm5hbWU6"), output);
		return *verdict != VERDICT_ACCEPTED;
	case DECIDE_MORE:
	case DECIDE_REPLY:
	case DECIDE_PASSWORD:
		break;
	}
	return true;
}

static void play(uint8_t choice, const uint8_t *bytes, size_t len, size_t piece,
		 struct transcript *transcript)
{
	static const char *const mechanisms[] = { "PLAIN", "LOGIN", NULL };
	static const char *const capabilities[] = { "SIZE 1000", "8BITMIME", NULL };
	static const struct dialogue_settings settings = {
		.hostname = "mail.example.test",
		.mechanisms = mechanisms,
		.capabilities = capabilities,
		.line_max = 64,
		.sasl_line_max = 128,
	};
	static char storage[OUTPUT_MAX];
	size_t at = 0, shown = 0;
	unsigned verdict = choice >> 1;
	struct dialogue d;
	bool open = true;
	char *data = malloc(len + 1);

	check(data != NULL);
	memcpy(data, bytes, len);
	transcript->len = 0;
	dialogue_init(&d, &protocol_submission, &settings, choice & 1 ? PHASE_TLS : PHASE_PLAIN);
	while (open && at + shown < len) {
		struct decision decision = { .type = DECIDE_MORE };
		struct output output;
		size_t used;

		shown = len - at - shown > piece ? shown + piece : len - at;
		output_init(&output, storage, sizeof(storage));
		used = protocol_submission.input(&d, data + at, shown, &output, &decision);
		check_decision(&d, &decision, data + at, shown, used);
		open = carry_out(&d, &decision, &verdict, &output);
		keep(transcript, &output);
		at += used;
		shown = used > 0 ? 0 : shown;
	}
	dialogue_wipe(&d);
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct transcript whole, pieces;

	if (len < 1 || len > 4096)
		return 0;
	play(bytes[0], bytes + 1, len - 1, len, &whole);
	play(bytes[0], bytes + 1, len - 1, 1, &pieces);
	check(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
	return 0;
}
