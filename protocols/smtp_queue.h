/* smtp_queue - the replies that a submission client is owed, in the order of its commands.
 * Invariants: bounded; an entry of our own waits until all before it have been answered; its text is a literal.
 * RFC 2920 3.1.
 */
#ifndef PROTOCOLS_SMTP_QUEUE_H
#define PROTOCOLS_SMTP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#define SMTP_QUEUE_MAX 129

enum smtp_owed_type {
	SMTP_OWED_OWN,     /* our own words; the backend is not asked */
	SMTP_OWED_REPLY,   /* the backend's, as it comes */
	SMTP_OWED_BINARY,  /* the same; 2xx makes the transaction's message a binary one */
	SMTP_OWED_EHLO,    /* the backend's, rewritten */
	SMTP_OWED_HELO,    /* as EHLO */
	SMTP_OWED_DATA,    /* 354, or no message */
	SMTP_OWED_CONVERT, /* as DATA, but the client said BDAT: of 354 it hears nothing */
	SMTP_OWED_CHUNK,   /* what becomes of a chunk */
	SMTP_OWED_MESSAGE, /* what becomes of the message just ended */
	SMTP_OWED_QUIT,    /* whatever it is, the client hears 221 */
};

struct smtp_owed {
	enum smtp_owed_type type;
	const char *text; /* of SMTP_OWED_OWN */
	bool last;        /* the session ends behind it */
	unsigned series;  /* of SMTP_OWED_CHUNK: the message that it belongs to */
};

struct smtp_queue {
	struct smtp_owed entries[SMTP_QUEUE_MAX];
	size_t first, count;
};

/* There must be room. */
void smtp_queue_push(struct smtp_queue *, struct smtp_owed);
/* What is owed next, or NULL. */
const struct smtp_owed *smtp_queue_head(const struct smtp_queue *);
void smtp_queue_pop(struct smtp_queue *);
/* What is owed last, or NULL. */
struct smtp_owed *smtp_queue_tail(struct smtp_queue *);
/* Anything is owed that is not our own. */
bool smtp_queue_awaits(const struct smtp_queue *);

#endif
