/* smtp_relay - submission after login: every command is parsed, allowed and re-emitted; every reply is matched.
 * Invariants: nothing but canonical, allowed commands reaches the backend; after DATA nothing is forwarded or
 * interpreted until the backend answers; a message ends only at CRLF.CRLF, and one that holds a bare CR, a bare LF or NUL
 * never reaches its end; octets of a chunk are counted, and are never commands. Replies keep the order of the commands; those we
 * make ourselves queue behind those awaited.
 * RFC 5321 4.1.1, 4.5.2; RFC 1870; RFC 2920 3; RFC 3030; RFC 6409.
 */
#ifndef PROTOCOLS_SMTP_RELAY_H
#define PROTOCOLS_SMTP_RELAY_H

#include "protocols/output.h"
#include "protocols/smtp_extension.h"

#define SMTP_RELAY_QUEUE 128 /* commands without a reply; then reading stops until one comes */

enum smtp_relay_event {
	SMTP_RELAY_GO_ON,
	SMTP_RELAY_CUT, /* close the backend connection now, without another byte; the client goes on */
	/* Send what is written to the client, then end the session; nothing more for the backend. Stands for a CUT in the
	 * same call too. */
	SMTP_RELAY_CLOSE,
};

struct smtp_relay; /* see smtp_relay_parts.h */

struct smtp_relay_settings {
	const char *hostname;
	const char *const
		*capabilities; /* extensions shown before login, and what may be shown again */
	size_t line_max;
	/* Octets of a refused message to swallow, and to pass on of one over the size allowed, before giving up. */
	uint64_t swallow_max;
};

/* `met`: what the backend offered in its EHLO reply. NULL: out of memory. */
struct smtp_relay *smtp_relay_new(const struct smtp_relay_settings *,
				  const struct smtp_extensions *met);
void smtp_relay_free(struct smtp_relay *);

/* Bytes of the client. Returns how many were used: fewer than len when an output is full, the queue is full, an answer must
 * come first (DATA, EHLO, QUIT), or a line is not whole. Call again when any of that may have changed. */
size_t smtp_relay_client(struct smtp_relay *, const char *data, size_t len, struct output *backend,
			 struct output *client, enum smtp_relay_event *);
/* Bytes of the backend, the same way. */
size_t smtp_relay_backend(struct smtp_relay *, const char *data, size_t len, struct output *client,
			  enum smtp_relay_event *);
/* The backend has closed, reset or timed out: what the client is owed (421 4.3.2 or what was said before), then CLOSE. */
void smtp_relay_backend_gone(struct smtp_relay *, struct output *client);
/* We end the session: 421 with that enhanced code ("4.3.2", "4.4.2") and text. */
void smtp_relay_farewell(struct smtp_relay *, const char *code, const char *text,
			 struct output *client);

/* At a command boundary: no reply awaited, no message under way. A draining session ends here. */
bool smtp_relay_idle(const struct smtp_relay *);
/* The backend owes a reply. */
bool smtp_relay_awaits(const struct smtp_relay *);
/* A message has begun and its end has not been forwarded: the session must never complete it on its own. */
bool smtp_relay_in_message(const struct smtp_relay *);
/* Why it said CLOSE, in a word for the log: client_quit, refused_command, bad_message,
 * message_aborted, too_big, bare_lf, backend_closed, backend_failed. */
const char *smtp_relay_reason(const struct smtp_relay *);

#endif
