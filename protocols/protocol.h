/* protocol - the three mail protocols behind one interface: bytes in, decisions out.
 * Invariants: no socket, no event loop, no TLS, no SASL; no allocation; a call keeps no pointer into the bytes it was
 * given. Spans in a decision point into those bytes or into the dialogue and are valid until the next call.
 * Before login a client may send at most a bounded line (and, in IMAP, bounded literals); CRLF is strict.
 * RFC 5321, 4954, 3207 (submission); 9051, 3501, 2595, 4959, 7888, 2971 (IMAP); 1939, 2449, 5034, 2595 (POP3).
 */
#ifndef PROTOCOLS_PROTOCOL_H
#define PROTOCOLS_PROTOCOL_H

#include "protocols/command.h"
#include "protocols/login.h"

/* What a protocol needs to know of the configuration; the caller owns it, it outlives the dialogue. */
struct dialogue_settings {
	const char *hostname;
	const char *const *mechanisms; /* upper case, NULL at the end */
	const char *const *
		capabilities; /* shown on behalf of the pools (design: the safe list), NULL at the end */
	size_t line_max;      /* command line with its CRLF */
	size_t sasl_line_max;
	size_t literals_max; /* IMAP: all literals of one command together */
};

enum decision_type {
	DECIDE_MORE,  /* nothing whole yet; `reply` may hold an IMAP continuation request */
	DECIDE_REPLY, /* send the reply and go on */
	DECIDE_START_TLS, /* send the reply, then handshake; bytes behind this command are an injection */
	DECIDE_AUTH_BEGIN, /* mechanism, and response if has_response (still encoded; "=" was made empty) */
	DECIDE_AUTH_RESPONSE, /* response */
	DECIDE_AUTH_CANCEL,   /* the client sent "*" */
	DECIDE_PASSWORD,      /* user and password, of IMAP LOGIN or POP3 USER/PASS */
	DECIDE_CLOSE,         /* send the reply, then end */
};

/* Why a command was refused or the session ends. NONE: it was not. */
enum refusal {
	REFUSAL_NONE,
	REFUSAL_PLAINTEXT, /* needs TLS */
	REFUSAL_PHASE,     /* not now (mail before login, STARTTLS inside TLS) */
	REFUSAL_UNKNOWN,   /* no such command */
	REFUSAL_SYNTAX,    /* malformed, or over a bound */
	REFUSAL_QUIT,      /* the client said goodbye; an ordinary end */
};

struct decision {
	enum decision_type type;
	enum refusal refusal;
	bool exposed; /* a credential came before TLS; exposed_user may be empty (unknown) */
	struct span exposed_user; /* only from a wholly parsed name field */
	struct span mechanism, response;
	bool has_response;
	struct span user, password;
};

/* The outcome of an exchange, as the client is to hear it. */
enum verdict {
	VERDICT_CHALLENGE,    /* text: the challenge, base64 */
	VERDICT_ACCEPTED,     /* text: IMAP: capabilities of the backend, may be empty */
	VERDICT_REFUSED,      /* wrong password or unknown user: one text for both */
	VERDICT_UNAUTHORIZED, /* may not act as that identity */
	VERDICT_BAD_ENCODING, /* broken base64 or malformed response */
	VERDICT_CANCELLED,
	VERDICT_NO_MECHANISM,
	VERDICT_TEMPORARY, /* text: POP3: the response code to keep ("IN-USE"), or empty */
};

/* Why we end a session, as the client is to hear it. */
enum farewell {
	FAREWELL_SHUTDOWN, /* 421 4.3.2, BYE, -ERR [SYS/TEMP] */
	FAREWELL_TOO_MANY, /* sessions: 421 4.7.0, BYE, -ERR [SYS/TEMP]; in place of the greeting */
	FAREWELL_DEADLINE, /* 421 4.4.2, BYE, -ERR [SYS/TEMP] */
	FAREWELL_REFUSALS, /* too many refused commands or failed logins: 421 4.7.0, BYE, -ERR */
	FAREWELL_BACKEND,  /* the backend has gone: 421 4.3.2 */
};

#define IMAP_TAG_MAX 64

struct dialogue {
	const struct protocol *protocol;
	const struct dialogue_settings *settings;
	enum phase phase;
	bool awaiting_response; /* the next line is a SASL response, whatever it looks like */
	size_t scanned;         /* bytes of the current command already searched for its end */
	unsigned continuations; /* IMAP: "+" already sent for the current command */
	char tag[IMAP_TAG_MAX + 1];
	char name
		[256]; /* submission: the client's EHLO name; POP3: the user of USER. "" when not given */
};

struct protocol {
	const char *name;         /* "submission", "imap", "pop3" */
	const char *sasl_service; /* "smtp", "imap", "pop" */
	const struct command *commands;
	void (*greet)(struct dialogue *, struct output *);
	/* Takes at most one command from data. Returns the bytes used; 0 with DECIDE_MORE. The bytes may be changed in
	 * place (quoted strings are unescaped). Never called between an AUTH decision and its verdict. */
	size_t (*input)(struct dialogue *, char *data, size_t len, struct output *,
			struct decision *);
	void (*verdict)(struct dialogue *, enum verdict, struct span text, struct output *);
	void (*farewell)(struct dialogue *, enum farewell, struct output *);
	const struct login_script *login;
};

extern const struct protocol protocol_submission, protocol_imap, protocol_pop3;

const struct protocol *protocol_find(const char *name); /* NULL: no such protocol */

/* To the start, in PLAIN or TLS; also used after STARTTLS, where all knowledge is discarded (RFC 3207 4.2). */
void dialogue_init(struct dialogue *, const struct protocol *, const struct dialogue_settings *,
		   enum phase);
void dialogue_wipe(struct dialogue *);

#endif
