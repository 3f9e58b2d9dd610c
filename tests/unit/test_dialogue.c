/* test_dialogue - plays each transcript of tests/dialogue twice, whole and byte by byte, against the real protocol.
 *
 * A transcript (NAME.txt) is a text file of one scenario. Its lines:
 *
 *   # comment                 (and empty lines) are skipped
 *   protocol imap             submission, imap or pop3; must come first
 *   phase plain               plain (the default) or tls: where the dialogue begins
 *   mechanisms PLAIN LOGIN    default: PLAIN LOGIN
 *   capabilities TOP UIDL     default: none. One for each word; an underscore stands for a blank (SIZE_1000)
 *   line_max 512              also sasl_line_max, literals_max; default: those of the sample configuration
 *
 *   C: a1 NOOP                the client sends this line and CRLF; several C: in a row arrive pipelined
 *   V: accepted IDLE UIDPLUS  the exchange is over: a verdict and its text. challenge, accepted, refused, unauthorized,
 *                             bad_encoding, cancelled, no_mechanism, temporary
 *   T:                        the TLS handshake is done: the dialogue starts anew in TLS, unread bytes are dropped
 *   F: shutdown               we end the session: shutdown, too_many, deadline, refusals, backend
 *
 *   D: password alice secret  what the dialogue decided, as `type arguments [refusal=..] [exposed=..]`; see below
 *   S: a1 OK NOOP completed   a line that we answer, without its CRLF
 *
 * In C: and S: the escapes \r \n \t \0 \\ \xNN stand for bytes, \(9000*x) for 9,000 times x, and \c at the end of a C:
 * line for "no CRLF here". Behind the settings come the S: lines of the greeting. What is expected stands right behind
 * what caused it, decision before reply, and must match whole: nothing more, nothing less, in that order.
 *
 * D: is written for each decision but a plain reply (no refusal, nothing exposed) and "nothing whole yet":
 *   D: reply refusal=plaintext exposed=alice      refusals: plaintext, phase, unknown, syntax, quit; exposed=- when unknown
 *   D: start_tls
 *   D: auth_begin PLAIN AGFsaWNl                  without a third word: no initial response; "=" : an empty one
 *   D: auth_response AGFsaWNl                     "=" for an empty line
 *   D: auth_cancel
 *   D: password alice secret
 *   D: close refusal=quit
 * Bytes of D: are escaped as above where they are not printable. After close nothing more is read.
 */
#include "protocols/protocol.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 65536
#define WORDS_MAX 16
#define TESTS_MAX 500

struct bytes {
	char data[BYTES_MAX];
	size_t len;
};

struct play {
	const char *path;
	int line;
	bool by_byte, begun, waiting, closed;
	struct dialogue dialogue;
	struct dialogue_settings settings;
	enum phase phase;
	const struct protocol *protocol;
	const char *mechanisms[WORDS_MAX + 1], *capabilities[WORDS_MAX + 1];
	char words[2][1024];
	struct bytes pending;  /* sent by the client, not taken yet */
	size_t shown;          /* of those, shown to the protocol already */
	struct bytes happened; /* D: and S: lines since the last step of the client */
	struct bytes expected;
};

static void add(struct bytes *bytes, const void *data, size_t len)
{
	assert_true(bytes->len + len < sizeof(bytes->data));
	memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

static void add_text(struct bytes *bytes, const char *text)
{
	add(bytes, text, strlen(text));
}

/* Printable and reversible: what is not printable ASCII as \xNN. */
static void add_escaped(struct bytes *bytes, struct span span)
{
	char escape[8];

	for (size_t i = 0; i < span.len; i++) {
		unsigned char byte = (unsigned char)span.data[i];

		if (byte >= 0x20 && byte < 0x7f && byte != '\\')
			add(bytes, &span.data[i], 1);
		else
			add(bytes, escape,
			    (size_t)snprintf(escape, sizeof(escape), "\\x%02x", byte));
	}
}

/* ---- what happened ---------------------------------------------------------------------------------------------- */

static void record_reply(struct play *play, const struct output *output)
{
	struct span rest = { output->data, output->len };

	assert_false(output->overflow);
	while (rest.len > 0) {
		const char *end = memmem(rest.data, rest.len, "\r\n", 2);

		if (!end)
			fail_msg("%s:%d: a reply without CRLF", play->path, play->line);
		struct span line = { rest.data, (size_t)(end - rest.data) };

		add_text(&play->happened, "S: ");
		add_escaped(&play->happened, line);
		add_text(&play->happened, "\n");
		rest = span_from(rest, line.len + 2);
	}
}

static void record_word(struct play *play, struct span word)
{
	add_text(&play->happened, " ");
	if (word.len == 0)
		add_text(&play->happened, "=");
	add_escaped(&play->happened, word);
}

static void record_decision(struct play *play, const struct decision *decision)
{
	static const char *const types[] = {
		[DECIDE_MORE] = "more",
		[DECIDE_REPLY] = "reply",
		[DECIDE_START_TLS] = "start_tls",
		[DECIDE_AUTH_BEGIN] = "auth_begin",
		[DECIDE_AUTH_RESPONSE] = "auth_response",
		[DECIDE_AUTH_CANCEL] = "auth_cancel",
		[DECIDE_PASSWORD] = "password",
		[DECIDE_CLOSE] = "close",
	};
	static const char *const refusals[] = {
		[REFUSAL_NONE] = "",
		[REFUSAL_PLAINTEXT] = " refusal=plaintext",
		[REFUSAL_PHASE] = " refusal=phase",
		[REFUSAL_UNKNOWN] = " refusal=unknown",
		[REFUSAL_SYNTAX] = " refusal=syntax",
		[REFUSAL_QUIT] = " refusal=quit",
	};
	bool plain = decision->refusal == REFUSAL_NONE && !decision->exposed;

	if (plain && (decision->type == DECIDE_MORE || decision->type == DECIDE_REPLY))
		return;
	add_text(&play->happened, "D: ");
	add_text(&play->happened, types[decision->type]);
	if (decision->type == DECIDE_AUTH_BEGIN)
		record_word(play, decision->mechanism);
	if ((decision->type == DECIDE_AUTH_BEGIN && decision->has_response) ||
	    decision->type == DECIDE_AUTH_RESPONSE)
		record_word(play, decision->response);
	if (decision->type == DECIDE_PASSWORD) {
		record_word(play, decision->user);
		record_word(play, decision->password);
	}
	add_text(&play->happened, refusals[decision->refusal]);
	if (decision->exposed) {
		add_text(&play->happened, " exposed=");
		if (decision->exposed_user.len == 0)
			add_text(&play->happened, "-");
		add_escaped(&play->happened, decision->exposed_user);
	}
	add_text(&play->happened, "\n");
}

/* One call of the protocol with `len` of the pending bytes, shown before an unreadable page. True when it took some. */
static bool take(struct play *play, size_t len)
{
	char storage[OUTPUT_MAX];
	struct output output;
	struct decision decision = { .type = DECIDE_MORE };
	char *data = guard_copy(play->pending.data, len);

	output_init(&output, storage, sizeof(storage));
	size_t used = play->protocol->input(&play->dialogue, data, len, &output, &decision);

	assert_true(used <= len);
	assert_int_equal(used == 0, decision.type == DECIDE_MORE ||
					    (decision.type == DECIDE_CLOSE && used == 0));
	record_decision(play, &decision);
	record_reply(play, &output);
	play->waiting = decision.type == DECIDE_AUTH_BEGIN || decision.type == DECIDE_START_TLS ||
			decision.type == DECIDE_AUTH_RESPONSE ||
			decision.type == DECIDE_AUTH_CANCEL || decision.type == DECIDE_PASSWORD;
	play->closed = decision.type == DECIDE_CLOSE;
	guard_free(data, len);
	memmove(play->pending.data, play->pending.data + used, play->pending.len - used);
	play->pending.len -= used;
	return used > 0;
}

/* Shows what is pending: all at once, or first one byte, then two... until a command is taken. */
static void feed(struct play *play)
{
	while (!play->waiting && !play->closed && play->shown < play->pending.len) {
		play->shown = play->by_byte ? play->shown + 1 : play->pending.len;
		if (take(play, play->shown))
			play->shown = 0;
	}
}

/* ---- the steps -------------------------------------------------------------------------------------------------- */

/* Everything that was to happen must have happened, and nothing else. */
static void settle(struct play *play)
{
	struct bytes *happened = &play->happened, *expected = &play->expected;

	happened->data[happened->len] = expected->data[expected->len] = '\0';
	if (strcmp(happened->data, expected->data) != 0)
		fail_msg("%s: before line %d (%s)\n-- expected:\n%s-- happened:\n%s", play->path,
			 play->line, play->by_byte ? "byte by byte" : "whole", expected->data,
			 happened->data);
	happened->len = expected->len = 0;
}

static int find_word(const struct play *play, const char *const *words, struct span word)
{
	for (int i = 0; words[i]; i++)
		if (span_is(word, words[i]))
			return i;
	fail_msg("%s:%d: unknown word", play->path, play->line);
	return -1;
}

static void unescape(struct play *play, const char *text, struct bytes *out)
{
	for (; *text; text++) {
		int skip = 0, count = 0;
		unsigned value = 0;
		char byte = *text;

		if (byte != '\\') {
			add(out, &byte, 1);
			continue;
		}
		byte = *++text;
		if (byte == 'x' && sscanf(text + 1, "%2x%n", &value, &skip) == 1) {
			byte = (char)value;
			text += skip;
		} else if (byte == '(' && sscanf(text + 1, "%d*%c)%n", &count, &byte, &skip) == 2) {
			for (int i = 1; i < count; i++)
				add(out, &byte, 1);
			text += skip;
		} else if (byte == 'c' && text[1] == '\0') {
			return;
		} else {
			const char *known = "r\rn\nt\t\\\\", *found = strchr(known, byte);

			if (byte == '0')
				byte = '\0';
			else if (byte && found)
				byte = found[1];
			else
				fail_msg("%s:%d: unknown escape", play->path, play->line);
		}
		add(out, &byte, 1);
	}
	if (out == &play->pending)
		add(out, "\r\n", 2);
}

static void begin(struct play *play)
{
	char storage[OUTPUT_MAX];
	struct output output;

	if (play->begun)
		return;
	play->begun = true;
	output_init(&output, storage, sizeof(storage));
	dialogue_init(&play->dialogue, play->protocol, &play->settings, play->phase);
	play->protocol->greet(&play->dialogue, &output);
	record_reply(play, &output);
}

static void step_verdict(struct play *play, struct span text)
{
	static const char *const verdicts[] = { "challenge",    "accepted",     "refused",
						"unauthorized", "bad_encoding", "cancelled",
						"no_mechanism", "temporary",    NULL };
	char storage[OUTPUT_MAX];
	struct output output;
	enum verdict verdict = (enum verdict)find_word(play, verdicts, span_word(&text));

	assert_true(play->waiting);
	output_init(&output, storage, sizeof(storage));
	play->protocol->verdict(&play->dialogue, verdict, span_from(text, 1), &output);
	record_reply(play, &output);
	play->waiting = false;
	if (verdict == VERDICT_ACCEPTED)
		play->closed = true;
	feed(play);
}

static void step_farewell(struct play *play, struct span text)
{
	static const char *const farewells[] = { "shutdown", "too_many", "deadline",
						 "refusals", "backend",  NULL };
	char storage[OUTPUT_MAX];
	struct output output;

	output_init(&output, storage, sizeof(storage));
	play->protocol->farewell(&play->dialogue,
				 (enum farewell)find_word(play, farewells, span_word(&text)),
				 &output);
	record_reply(play, &output);
}

static void step_tls(struct play *play)
{
	dialogue_init(&play->dialogue, play->protocol, &play->settings, PHASE_TLS);
	play->pending.len = play->shown = 0;
	play->waiting = false;
}

/* Words of a setting, kept in `storage`; an underscore becomes a blank. */
static void set_words(const char **words, char *storage, size_t size, const char *text)
{
	size_t count = 0;
	char *save = NULL;

	assert_true(strlen(text) < size);
	strcpy(storage, text);
	for (char *word = strtok_r(storage, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_true(count < WORDS_MAX);
		for (char *c = word; *c; c++)
			if (*c == '_')
				*c = ' ';
		words[count++] = word;
	}
	words[count] = NULL;
}

static void setting(struct play *play, const char *name, const char *value)
{
	if (strcmp(name, "protocol") == 0)
		play->protocol = protocol_find(value);
	else if (strcmp(name, "phase") == 0)
		play->phase = strcmp(value, "tls") == 0 ? PHASE_TLS : PHASE_PLAIN;
	else if (strcmp(name, "mechanisms") == 0)
		set_words(play->mechanisms, play->words[0], sizeof(play->words[0]), value);
	else if (strcmp(name, "capabilities") == 0)
		set_words(play->capabilities, play->words[1], sizeof(play->words[1]), value);
	else if (strcmp(name, "line_max") == 0)
		play->settings.line_max = strtoul(value, NULL, 10);
	else if (strcmp(name, "sasl_line_max") == 0)
		play->settings.sasl_line_max = strtoul(value, NULL, 10);
	else if (strcmp(name, "literals_max") == 0)
		play->settings.literals_max = strtoul(value, NULL, 10);
	else
		fail_msg("%s:%d: unknown setting", play->path, play->line);
	if (!play->protocol)
		fail_msg("%s:%d: unknown protocol", play->path, play->line);
}

static void expect(struct play *play, const char *line)
{
	size_t begun = play->expected.len;
	struct bytes raw = { .len = 0 };

	begin(play);
	unescape(play, line + 3, &raw);
	add(&play->expected, line, 3);
	add_escaped(&play->expected, (struct span) { raw.data, raw.len });
	add_text(&play->expected, "\n");
	assert_true(play->expected.len > begun);
}

/* `*sending`: C: lines have been collected and not been shown yet. */
static void step(struct play *play, char *line, bool *sending)
{
	char *value = line + strcspn(line, " ");

	if (line[0] == '\0' || line[0] == '#')
		return;
	if (line[1] != ':') {
		assert_false(play->begun);
		*value = *value ? '\0' : *value;
		setting(play, line, value + 1);
		return;
	}
	begin(play);
	value = line[2] == ' ' ? line + 3 : line + 2;
	if (line[0] != 'C' && *sending) {
		feed(play);
		*sending = false;
	}
	if (line[0] == 'S' || line[0] == 'D') {
		expect(play, line);
		return;
	}
	if (!*sending)
		settle(play);
	if (line[0] == 'C') {
		unescape(play, value, &play->pending);
		*sending = true;
	} else if (line[0] == 'V') {
		step_verdict(play, span_of(value));
	} else if (line[0] == 'F') {
		step_farewell(play, span_of(value));
	} else if (line[0] == 'T') {
		step_tls(play);
	} else {
		fail_msg("%s:%d: unknown step", play->path, play->line);
	}
}

static void play_file(const char *path, bool by_byte)
{
	static struct play play;
	char line[4096];
	bool sending = false;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	play = (struct play) { .path = path, .by_byte = by_byte, .phase = PHASE_PLAIN };
	play.mechanisms[0] = "PLAIN";
	play.mechanisms[1] = "LOGIN";
	play.settings = (struct dialogue_settings) {
		.hostname = "mail.example.test",
		.mechanisms = play.mechanisms,
		.capabilities = play.capabilities,
		.line_max = 2000,
		.sasl_line_max = 16384,
		.literals_max = 16384,
	};
	while (fgets(line, sizeof(line), file)) {
		play.line++;
		line[strcspn(line, "\n")] = '\0';
		step(&play, line, &sending);
	}
	fclose(file);
	assert_true(play.begun);
	if (sending)
		feed(&play);
	settle(&play);
}

static void run_transcript(void **state)
{
	play_file(*state, false);
	play_file(*state, true);
}

static int is_transcript(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".txt") == 0;
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[TESTS_MAX];
	static char paths[TESTS_MAX][512];
	const char *folder = argc > 1 ? argv[1] : "tests/dialogue";
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_transcript, alphasort);

	if (count <= 0 || count > TESTS_MAX) {
		fprintf(stderr, "no transcripts (or too many) in %s\n", folder);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, entries[i]->d_name);
		tests[i] = (struct CMUnitTest) { .name = paths[i],
						 .test_func = run_transcript,
						 .initial_state = paths[i] };
		free(entries[i]);
	}
	free(entries);
	return _cmocka_run_group_tests("dialogue", tests, (size_t)count, NULL, NULL);
}
