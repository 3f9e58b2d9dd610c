/* fuzz_smtp_relay - both sides say anything, in any order, into outputs of any size.
 * The input is a list of steps: a byte whose low three bits say what happens (see `enum kind`) and whose high bits are a
 * length, then that many bytes; the last byte of all chooses what the backend offers. A model beside the relay reads
 * what the backend gets as the strictest server would: only canonical lines of allowed verbs, never more of them than
 * the client said; a message whose bytes and whose end are the client's own, found again here by a definition of its
 * own; chunks whose octets are counted and are the client's, as they are or stuffed for DATA. After a cut the backend
 * gets nothing.
 */
#include "protocols/smtp_relay.h"
#include "protocols/smtp_command.h"
#include <stdint.h>
#include <stdlib.h>

#define WAITING_MAX 8192
#define LINE_MAX    128
#define ROOM_WIDE   4096
#define VERBS       12
#define VERB_DATA   4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum kind {
	KIND_CLIENT,
	KIND_CLIENT_LONG, /* the length counts eights */
	KIND_CLIENT_LINE, /* with CRLF behind it */
	KIND_BACKEND,
	KIND_BACKEND_OK,
	KIND_BACKEND_GO,
	KIND_BACKEND_NO,
	KIND_ROOM,
};

struct waiting {
	char data[WAITING_MAX];
	size_t len;
};

struct model {
	struct smtp_relay *relay;
	struct waiting client, backend; /* said and not used yet */
	size_t room;
	bool closed, cut;
	char line[LINE_MAX]; /* of a command that the backend has not got whole */
	size_t line_len;
	char history[5]; /* the last bytes of the client's message */
	bool bad;        /* it held a byte that it may not hold */
	enum hears {
		HEARS_COMMANDS,
		HEARS_CHUNK,
		HEARS_MESSAGE,
		HEARS_CONVERTED, /* DATA in place of BDAT */
		HEARS_END,       /* its last LF */
	} hears;
	/* What the client said, by itself. */
	char said[LINE_MAX];
	size_t said_len;
	unsigned lines[VERBS], commands[VERBS]; /* of the client; to the backend */
	bool said_bdat;                         /* the last line was a sound BDAT */
	bool said_last;
	uint64_t octets_left;
	struct octets {
		uint64_t sum;
		bool after_cr;
	} of_client, of_backend;
	struct octets whole; /* of the client's message whose last chunk is complete */
	bool complete;
	bool maybe_bad; /* a chunk may have held a bad byte: what comes of it is only checked for bytes */
	/* The chunk that the backend reads. */
	uint64_t chunk_left;
	bool last_chunk;
	/* A message made of chunks, as DATA. */
	bool in_line, dot;
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void drop(struct waiting *waiting, size_t used)
{
	check(used <= waiting->len);
	memmove(waiting->data, waiting->data + used, waiting->len - used);
	waiting->len -= used;
}

/* ---- the model of the message ---- */

static void message_begins(struct model *model)
{
	memcpy(model->history, "\0\0\0\r\n", 5);
	model->bad = false;
	model->hears = model->said_bdat ? HEARS_CONVERTED : HEARS_MESSAGE;
	model->in_line = model->dot = false;
	model->complete = model->said_last && model->octets_left == 0;
	model->of_client = model->of_backend = model->whole = (struct octets) { 0 };
}

/* Takes the next byte of the client's message; true at its end. */
static bool message_byte(struct model *model, char byte)
{
	char before = model->history[4];

	if (byte == '\0' || (byte == '\n') != (before == '\r'))
		model->bad = true;
	memmove(model->history, model->history + 1, 4);
	model->history[4] = byte;
	return memcmp(model->history, "\r\n.\r\n", 5) == 0;
}

/* ---- the model of the backend: the strictest of all ---- */

static const char *const verbs[VERBS] = { "EHLO", "HELO", "MAIL", "RCPT", "DATA", "BDAT",
					  "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP" };

/* VERBS: none of those that may pass. */
static size_t verb_number(struct span verb)
{
	size_t i = 0;

	while (i < VERBS && !span_is(verb, verbs[i]))
		i++;
	return i;
}

static void check_command(struct span line)
{
	struct span rest = line, verb = span_word(&rest);

	check(verb_number(verb) < VERBS &&
	      memcmp(verb.data, verbs[verb_number(verb)], verb.len) == 0);
	check(smtp_text_acceptable(line));
	check(line.data[line.len - 1] != ' ');
	check(rest.len == 0 || (rest.len > 1 && rest.data[0] == ' ' && rest.data[1] != ' '));
	if (span_is(verb, "MAIL"))
		check(span_begins(rest, " FROM:<"));
	if (span_is(verb, "RCPT"))
		check(span_begins(rest, " TO:<"));
	if (span_is(verb, "DATA") || span_is(verb, "QUIT") || span_is(verb, "RSET"))
		check(rest.len == 0);
	if (span_is(verb, "BDAT"))
		check(rest.data[1] != '0' || rest.len == 2 || rest.data[2] == ' ');
}

static void add_octet(struct octets *octets, char byte)
{
	octets->sum = octets->sum * 1099511628211u + (unsigned char)byte + 1;
	octets->after_cr = byte == '\r';
}

static bool may_follow(const struct octets *octets, char byte)
{
	return byte != '\0' && (byte == '\n') == octets->after_cr;
}

static void hears_command(struct model *model)
{
	struct span line = { model->line, model->line_len - 2 }, rest = line, verb;

	verb = span_word(&rest);
	check(model->line_len > 2 && model->line[model->line_len - 2] == '\r');
	check_command(line);
	model->line_len = 0;
	check(++model->commands[verb_number(verb)] <= model->lines[verb_number(verb)]);
	if (span_begins(line, "BDAT ")) {
		check(smtp_chunk_parse(span_from(line, 5), &model->chunk_left, &model->last_chunk));
		model->of_backend.sum = 0;
		if (model->chunk_left > 0)
			model->hears = HEARS_CHUNK;
	}
	/* MAIL passes behind a chunk that was refused, of which nothing is left. */
	if (span_is(line, "RSET") || span_begins(line, "MAIL") || span_begins(line, "EHLO") ||
	    span_begins(line, "HELO"))
		model->of_backend.after_cr = false;
}

static void hears_chunk(struct model *model, char byte)
{
	check(may_follow(&model->of_backend, byte));
	add_octet(&model->of_backend, byte);
	if (--model->chunk_left > 0)
		return;
	model->hears = HEARS_COMMANDS;
	check(!model->last_chunk || byte != '\r');
	if (model->last_chunk)
		model->of_backend.after_cr = false;
}

/* Takes the dots out again; at the end what is left must be what the client's chunks held. */
static void hears_converted(struct model *model, char byte)
{
	if (!model->in_line && !model->dot && byte == '.') {
		model->dot = true;
		return;
	}
	if (model->dot && byte == '\r') {
		model->hears = HEARS_END;
		return;
	}
	check(!model->dot || byte == '.');
	model->dot = false;
	check(may_follow(&model->of_backend, byte));
	add_octet(&model->of_backend, byte);
	model->in_line = byte != '\n';
}

static void converted_ends(struct model *model, char byte)
{
	struct octets with_end = model->whole;

	check(byte == '\n' && model->complete);
	add_octet(&with_end, '\r');
	add_octet(&with_end, '\n');
	check(model->of_backend.sum == model->whole.sum || model->of_backend.sum == with_end.sum);
	model->of_backend.after_cr = false;
	model->hears = HEARS_COMMANDS;
}

static void backend_hears(struct model *model, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		char byte = bytes.data[i];

		if (model->hears == HEARS_CHUNK) {
			hears_chunk(model, byte);
		} else if (model->hears == HEARS_CONVERTED) {
			hears_converted(model, byte);
		} else if (model->hears == HEARS_END) {
			converted_ends(model, byte);
		} else {
			check(model->line_len < sizeof(model->line));
			model->line[model->line_len++] = byte;
			if (byte == '\n')
				hears_command(model);
		}
	}
	check(model->line_len == 0); /* commands go out whole */
}

/* ---- the model of the client ---- */

/* What it says next may be the beginning of another message. */
static void client_said_last(struct model *model)
{
	if (model->complete)
		return;
	model->complete = true;
	model->whole = model->of_client;
}

static void client_said_line(struct model *model)
{
	struct span line = { model->said, model->said_len };
	struct smtp_command command;
	bool last = false, whole = line.len <= LINE_MAX - 2 && smtp_command_parse(line, &command);
	size_t verb = whole ? verb_number(command.verb) : VERBS;

	model->said_bdat = whole && span_is(command.verb, "BDAT") &&
			   smtp_chunk_parse(command.args, &model->octets_left, &last);
	if (model->said_bdat)
		model->lines[VERB_DATA]++;
	if (verb < VERBS)
		model->lines[verb]++;
	model->said_len = 0;
	if (!model->said_bdat) {
		model->octets_left = 0;
		return;
	}
	model->said_last = last;
	if (model->hears != HEARS_CONVERTED)
		model->of_client.sum = 0;
	if (last && model->octets_left == 0 && model->of_client.after_cr)
		model->maybe_bad = true;
	if (last && model->octets_left == 0)
		client_said_last(model);
}

static void client_said_octet(struct model *model, char byte)
{
	if (!may_follow(&model->of_client, byte))
		model->maybe_bad = true;
	add_octet(&model->of_client, byte);
	if (--model->octets_left > 0 || !model->said_last)
		return;
	if (byte == '\r')
		model->maybe_bad = true;
	client_said_last(model);
}

static void client_says(struct model *model, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		char byte = bytes.data[i];

		if (model->octets_left > 0) {
			client_said_octet(model, byte);
			continue;
		}
		if (byte == '\n' && model->said_len > 0 &&
		    model->said[model->said_len - 1] == '\r') {
			model->said_len--;
			client_said_line(model);
		} else if (model->said_len < sizeof(model->said)) {
			model->said[model->said_len++] = byte;
		} else {
			model->said[sizeof(model->said) - 1] = byte;
		}
	}
}

/* What was used of a message must be what was sent on, up to its end; after a bad byte, a beginning of it. */
static void backend_hears_message(struct model *model, struct span used, struct span sent)
{
	for (size_t i = 0; i < used.len && !model->bad; i++) {
		if (!message_byte(model, used.data[i]) || model->bad)
			continue;
		check(!model->cut);
		check(sent.len > i && memcmp(used.data, sent.data, i + 1) == 0);
		model->hears = HEARS_COMMANDS;
		client_says(model, span_from(used, i + 1));
		backend_hears(model, span_from(sent, i + 1));
		return;
	}
	if (model->cut || model->closed) {
		check(sent.len <= used.len && memcmp(used.data, sent.data, sent.len) == 0);
		check(model->closed || model->bad || model->history[4] == '\r');
		return;
	}
	check(!model->bad);
	check(sent.len == used.len &&
	      (used.len == 0 || memcmp(used.data, sent.data, used.len) == 0));
}

/* Commands and chunks: the backend has got of a chunk what the client has sent of it. */
static void backend_hears_all(struct model *model, struct span used, struct span sent)
{
	client_says(model, used);
	backend_hears(model, sent);
	if (model->maybe_bad || model->closed || model->cut)
		return;
	check(model->chunk_left == 0 || model->chunk_left == model->octets_left);
	check(model->chunk_left == 0 || model->of_backend.sum == model->of_client.sum);
}

/* ---- the steps ---- */

static void check_replies(const struct output *client)
{
	check(!client->overflow);
	check(client->len == 0 || (client->len > 4 && client->data[client->len - 1] == '\n'));
	check(!memchr(client->data, '\0', client->len));
}

static bool client_turn(struct model *model)
{
	static char backend_storage[ROOM_WIDE], client_storage[ROOM_WIDE];
	bool in_message = model->hears == HEARS_MESSAGE, was_cut = model->cut;
	enum smtp_relay_event event;
	struct output backend, client;
	size_t used;

	output_init(&backend, backend_storage, model->room);
	output_init(&client, client_storage, model->room);
	used = smtp_relay_client(model->relay, model->client.data, model->client.len, &backend,
				 &client, &event);
	check(used <= model->client.len && !backend.overflow);
	check_replies(&client);
	model->cut = model->cut || event == SMTP_RELAY_CUT;
	model->closed = event == SMTP_RELAY_CLOSE;
	if (was_cut)
		check(backend.len == 0);
	else if (in_message)
		backend_hears_message(model, (struct span) { model->client.data, used },
				      (struct span) { backend.data, backend.len });
	else
		backend_hears_all(model, (struct span) { model->client.data, used },
				  (struct span) { backend.data, backend.len });
	drop(&model->client, used);
	return used > 0 || client.len > 0;
}

static bool backend_turn(struct model *model)
{
	static char storage[ROOM_WIDE];
	bool in_message = smtp_relay_in_message(model->relay);
	enum smtp_relay_event event;
	struct output client;
	size_t used;

	output_init(&client, storage, model->room);
	used = smtp_relay_backend(model->relay, model->backend.data, model->backend.len, &client,
				  &event);
	check_replies(&client);
	model->cut = model->cut || event == SMTP_RELAY_CUT;
	model->closed = event == SMTP_RELAY_CLOSE;
	if (!in_message && smtp_relay_in_message(model->relay))
		message_begins(model);
	drop(&model->backend, used);
	return used > 0 || client.len > 0;
}

static void say(struct waiting *waiting, const void *bytes, size_t len)
{
	if (waiting->len + len > sizeof(waiting->data))
		return;
	memcpy(waiting->data + waiting->len, bytes, len);
	waiting->len += len;
}

static size_t take_step(struct model *model, const uint8_t *bytes, size_t len)
{
	enum kind kind = bytes[0] & 7;
	size_t size = bytes[0] >> 3;

	if (kind == KIND_ROOM) {
		model->room = size == 31 ? ROOM_WIDE : 16 + size * 8;
		return 1;
	}
	if (kind == KIND_BACKEND_OK)
		say(&model->backend, "250 ok\r\n", 8);
	if (kind == KIND_BACKEND_GO)
		say(&model->backend, "354 go\r\n", 8);
	if (kind == KIND_BACKEND_NO)
		say(&model->backend, "550 no\r\n", 8);
	if (kind >= KIND_BACKEND_OK)
		return 1;
	if (kind == KIND_CLIENT_LONG)
		size *= 8;
	if (size > len - 1)
		size = len - 1;
	say(kind == KIND_BACKEND ? &model->backend : &model->client, bytes + 1, size);
	if (kind == KIND_CLIENT_LINE)
		say(&model->client, "\r\n", 2);
	return size + 1;
}

static void play(struct model *model, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len && !model->closed) {
		bool moved = true;

		at += take_step(model, bytes + at, len - at);
		while (moved && !model->closed) {
			moved = client_turn(model);
			if (!model->closed)
				moved = backend_turn(model) || moved;
		}
	}
	/* With room and nothing more to come, only what waits for somebody's next word is left. */
	model->room = ROOM_WIDE;
	while (!model->closed && (client_turn(model) || (!model->closed && backend_turn(model))))
		;
	if (!model->closed && smtp_relay_idle(model->relay))
		check(memmem(model->client.data, model->client.len, "\n", 1) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char *const capabilities[] = { "SIZE 1000", "8BITMIME", "CHUNKING", NULL };
	const struct smtp_extensions met = { len > 0 ? bytes[len - 1] : 0u, 0 };
	static const struct smtp_relay_settings settings = { "front.example", capabilities,
							     LINE_MAX, 512 };
	static struct model model;

	memset(&model, 0, sizeof(model));
	model.room = ROOM_WIDE;
	model.relay = smtp_relay_new(&settings, &met);
	check(model.relay != NULL);
	play(&model, bytes, len);
	smtp_relay_free(model.relay);
	return 0;
}
