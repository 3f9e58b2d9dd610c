/* smtp_relay_parts - what the files of smtp_relay share and nobody else sees: the state, and who does what with it.
 * smtp_relay.c: life, own words, ends. smtp_relay_commands.c: the client's commands and messages. smtp_relay_chunks.c:
 * BDAT. smtp_relay_replies.c: the backend's replies.
 */
#ifndef PROTOCOLS_SMTP_RELAY_PARTS_H
#define PROTOCOLS_SMTP_RELAY_PARTS_H

#include "protocols/smtp_allow.h"
#include "protocols/smtp_bdat.h"
#include "protocols/smtp_data.h"
#include "protocols/smtp_ehlo.h"
#include "protocols/smtp_queue.h"
#include "protocols/smtp_relay.h"
#include "protocols/smtp_reply.h"

#define SMTP_REPLY_BYE      "221 2.0.0 Bye\r\n"
#define SMTP_REPLY_SPOILT   "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n"
#define SMTP_REPLY_AGAIN    "421 4.7.0 Connect again to send another message\r\n"
#define SMTP_REPLY_GONE     "421 4.3.2 Mail service has gone\r\n"
#define SMTP_REPLY_TOO_MUCH "421 4.7.0 Too much to ignore\r\n"

enum smtp_relay_mode {
	MODE_COMMANDS,
	MODE_ANSWER_FIRST, /* the last command must be answered before anything is read */
	MODE_MESSAGE,
	MODE_CHUNK,      /* octets of a BDAT */
	MODE_SPOILT,     /* a message with a bad byte: swallowed to its end */
	MODE_LINE,       /* a line too long: swallowed to its end */
	MODE_LOST_CHUNK, /* octets of a refused BDAT: swallowed */
	MODE_LAST_WORDS, /* nothing more is read; the session ends with an entry of the queue */
	MODE_CLOSED,
};

/* A message sent by BDAT. */
enum smtp_series {
	SERIES_NONE,
	SERIES_OPEN,   /* the last chunk has not come */
	SERIES_FAILED, /* refused; what still comes of it is swallowed */
};

struct smtp_relay {
	struct smtp_relay_settings settings;
	struct smtp_extensions shown; /* to the client, last */
	struct smtp_extensions met;   /* what the backend offers now */
	enum smtp_relay_mode mode;
	const char *reason;     /* why it closes; a literal */
	const char *cut_reason; /* why it will, once the client says anything but QUIT */
	bool doomed;            /* nothing more for the backend: it is cut when it owes nothing */
	bool cut;               /* done; never taken back */
	bool in_message;        /* begun, and its end not forwarded */
	struct smtp_queue owed;
	size_t scanned; /* of the client's current line */
	struct smtp_data data;
	enum smtp_series series;
	unsigned series_number;
	bool binary; /* the transaction's message, as the backend accepted it */
	struct smtp_bdat bdat;
	uint64_t octets;    /* of the message under way, as sent on */
	uint64_t swallowed; /* octets of the line or message being swallowed */
	uint64_t lost_left; /* octets of the refused chunk still to come */
	struct smtp_reply reply;
	struct smtp_ehlo ehlo;        /* of the reply being read */
	struct smtp_extensions heard; /* the same */
};

/* ---- own words ---- */

bool smtp_relay_try_write(struct output *, struct span);
/* Writes our own replies that nothing stands before any more. */
void smtp_relay_flush_own(struct smtp_relay *, struct output *client);
void smtp_relay_say(struct smtp_relay *, const char *text, struct output *client);
void smtp_relay_say_last(struct smtp_relay *, const char *text, const char *reason,
			 struct output *client);
/* Nobody will answer any more: all that was owed shrinks to one reply. */
void smtp_relay_give_up(struct smtp_relay *, const char *text, const char *reason,
			struct output *client);

/* ---- the client ---- */

size_t smtp_relay_read_client(struct smtp_relay *, const char *data, size_t len,
			      struct output *backend, struct output *client);
/* The backend's connection has no use any more; it is cut when it owes nothing. */
void smtp_relay_doom(struct smtp_relay *, const char *reason);
/* Counts what was sent on of a message. False: far over the size allowed, and the session ends. */
bool smtp_relay_count(struct smtp_relay *, size_t octets, struct output *client);
bool smtp_relay_swallow(struct smtp_relay *, size_t octets, struct output *client);

/* ---- BDAT ---- */

/* The command; false when it must wait for room. */
bool smtp_relay_take_chunk(struct smtp_relay *, struct span args, struct output *backend,
			   struct output *client);
/* Its octets. */
size_t smtp_relay_pass_chunk(struct smtp_relay *, const char *data, size_t len,
			     struct output *backend, struct output *client);
size_t smtp_relay_lose_chunk(struct smtp_relay *, size_t len);
/* Another command between two chunks. True: it is answered here; else it may pass. */
bool smtp_relay_between_chunks(struct smtp_relay *, const char *verb, struct output *client);
/* The backend's answers: to DATA in place of the first BDAT, and to a chunk. */
void smtp_relay_conversion_begins(struct smtp_relay *);
void smtp_relay_conversion_refused(struct smtp_relay *, struct output *client);
void smtp_relay_chunk_refused(struct smtp_relay *, unsigned series);
/* A command ends the transaction. */
void smtp_relay_forget_series(struct smtp_relay *);

/* ---- the backend ---- */

size_t smtp_relay_read_backend(struct smtp_relay *, const char *data, size_t len,
			       struct output *client);

#endif
