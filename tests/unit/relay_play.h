/* relay_play - submission after login, as plays: what the client and the backend say in turn, and all that each of
 * them hears in the end. Every play runs whole and in pieces of several sizes, with wide and with narrow outputs, each
 * piece before an unreadable page; the outcome must be the same.
 */
#ifndef TESTS_UNIT_RELAY_PLAY_H
#define TESTS_UNIT_RELAY_PLAY_H

#include "protocols/smtp_relay.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define STREAM_MAX 65536
#define STEPS_MAX  10
#define ROOM_WIDE  20480

struct stream {
	char data[STREAM_MAX];
	size_t len;
};

struct step {
	char who; /* 'C' client, 'B' backend, 'G' the backend has gone */
	const char *bytes;
	size_t len;
};

#define C(text)                                                                                    \
	{                                                                                          \
		'C', text, sizeof(text) - 1                                                        \
	}
#define B(text)                                                                                    \
	{                                                                                          \
		'B', text, sizeof(text) - 1                                                        \
	}
#define GONE                                                                                       \
	{                                                                                          \
		'G', "", 0                                                                         \
	}

enum ending {
	OPEN,
	CLOSED,
	CUT,        /* the backend stream may stop anywhere inside the message */
	CUT_CLOSED, /* and then the session ended */
};

struct play {
	const char *name;
	struct step steps[STEPS_MAX];
	const char *backend, *client;
	enum ending ending;
};

struct rig {
	struct smtp_relay *relay;
	size_t room;
	struct stream from_client, from_backend; /* not used yet */
	struct stream to_client, to_backend;
	bool cut, closed;
};

static const char *const extensions[] = { "SIZE 1000", "8BITMIME", "DSN", NULL };
static const struct smtp_extensions usual = {
	SMTP_PIPELINING | SMTP_SIZE | SMTP_8BITMIME | SMTP_DSN, 1000
};

static inline void append(struct stream *stream, const char *data, size_t len)
{
	assert_true(stream->len + len <= sizeof(stream->data));
	memcpy(stream->data + stream->len, data, len);
	stream->len += len;
}

static inline void drop(struct stream *stream, size_t len)
{
	memmove(stream->data, stream->data + len, stream->len - len);
	stream->len -= len;
}

static inline void rig_open_with(struct rig *rig, const struct smtp_relay_settings *settings,
				 const struct smtp_extensions *met)
{
	memset(rig, 0, sizeof(*rig));
	rig->relay = smtp_relay_new(settings, met);
	rig->room = ROOM_WIDE;
	assert_non_null(rig->relay);
}

static inline void rig_open(struct rig *rig, size_t room, size_t line_max, uint64_t swallow_max)
{
	const struct smtp_relay_settings settings = { "front.example", extensions, line_max,
						      swallow_max };

	rig_open_with(rig, &settings, &usual);
	rig->room = room;
}

static inline void note(struct rig *rig, enum smtp_relay_event event)
{
	rig->cut = rig->cut || event == SMTP_RELAY_CUT;
	rig->closed = rig->closed || event == SMTP_RELAY_CLOSE;
}

/* One call for each side with what waits there, and fresh outputs of the given room. True when anything moved. */
static inline bool turn(struct rig *rig)
{
	char *backend_storage = malloc(rig->room), *client_storage = malloc(rig->room);
	struct output backend, client;
	enum smtp_relay_event event;
	char *data;
	size_t used, moved;

	output_init(&backend, backend_storage, rig->room);
	output_init(&client, client_storage, rig->room);
	data = guard_copy(rig->from_client.data, rig->from_client.len);
	used = smtp_relay_client(rig->relay, data, rig->from_client.len, &backend, &client, &event);
	assert_true(used <= rig->from_client.len);
	guard_free(data, rig->from_client.len);
	drop(&rig->from_client, used);
	moved = used + backend.len + client.len;
	note(rig, event);
	if (rig->cut)
		assert_int_equal(backend.len != 0 && event != SMTP_RELAY_CUT, 0);
	append(&rig->to_backend, backend.data, backend.len);
	append(&rig->to_client, client.data, client.len);
	if (!rig->closed) {
		output_init(&client, client_storage, rig->room);
		data = guard_copy(rig->from_backend.data, rig->from_backend.len);
		used = smtp_relay_backend(rig->relay, data, rig->from_backend.len, &client, &event);
		assert_true(used <= rig->from_backend.len);
		guard_free(data, rig->from_backend.len);
		drop(&rig->from_backend, used);
		note(rig, event);
		append(&rig->to_client, client.data, client.len);
		moved += used + client.len;
	}
	assert_false(backend.overflow || client.overflow);
	free(backend_storage);
	free(client_storage);
	return moved > 0 && !rig->closed;
}

static inline void take(struct rig *rig, const struct step *step, size_t piece)
{
	struct stream *stream = step->who == 'C' ? &rig->from_client : &rig->from_backend;

	if (step->who == 'G' && !rig->closed) {
		char storage[ROOM_WIDE];
		struct output client;

		output_init(&client, storage, sizeof(storage));
		smtp_relay_backend_gone(rig->relay, &client);
		append(&rig->to_client, client.data, client.len);
		rig->closed = true;
	}
	for (size_t at = 0; at < step->len && !rig->closed; at += piece) {
		size_t left = step->len - at;

		append(stream, step->bytes + at, left < piece ? left : piece);
		while (turn(rig))
			;
	}
}

static inline void compare(const struct play *play, const char *what, const struct stream *got,
			   const char *expected, bool prefix)
{
	size_t len = strlen(expected);
	bool same = prefix ? got->len <= len && memcmp(got->data, expected, got->len) == 0
			   : got->len == len && memcmp(got->data, expected, len) == 0;

	if (!same)
		fail_msg("%s: %s:\n%.*s-- expected:\n%s", play->name, what, (int)got->len,
			 got->data, expected);
}

/* What the client was shown before login, and what the backend offers. */
struct setting {
	const char *const *shown;
	const struct smtp_extensions *met;
};

static const struct setting plain = { extensions, &usual };

static inline void run(const struct play *play, const struct setting *setting, size_t piece,
		       size_t room)
{
	static struct rig rig;
	bool cut = play->ending == CUT || play->ending == CUT_CLOSED;

	const struct smtp_relay_settings settings = { "front.example", setting->shown, 200, 300 };

	rig_open_with(&rig, &settings, setting->met);
	rig.room = room;
	for (const struct step *step = play->steps; step->bytes; step++)
		take(&rig, step, piece);
	compare(play, "to the backend", &rig.to_backend, play->backend, cut);
	compare(play, "to the client", &rig.to_client, play->client, false);
	/* A CLOSE in the same call says more than a CUT. */
	assert_true(cut ? rig.cut || rig.closed : !rig.cut);
	assert_int_equal(rig.closed, play->ending == CLOSED || play->ending == CUT_CLOSED);
	smtp_relay_free(rig.relay);
}

static inline void run_all(const struct play *plays, size_t count, const struct setting *setting)
{
	static const size_t pieces[] = { SIZE_MAX / 2, 1, 2, 3, 5, 17 };
	/* Any room that holds the longest line of a play is enough. */
	static const size_t rooms[] = { ROOM_WIDE, 100 };

	for (size_t i = 0; i < count; i++)
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
			for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++)
				run(&plays[i], setting, pieces[p], rooms[r]);
}

#define RUN_WITH(plays, setting) run_all(plays, sizeof(plays) / sizeof((plays)[0]), setting)
#define RUN(plays)               RUN_WITH(plays, &plain)

#endif
