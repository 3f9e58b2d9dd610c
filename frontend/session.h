/* session - one client, from accept to close; the only place that changes a session's state or frees it.
 * Invariants: session_enter() is the one setter of state and checks the move; callees return and never free; session_close() may be
 * called twice, the janitor frees at the end of the loop's turn; other processes name a session by id only; the
 * relay opens through session_may_relay() alone. A session keeps the generation of configuration that it began with.
 */
#ifndef FRONTEND_SESSION_H
#define FRONTEND_SESSION_H

#include "frontend/guess.h"
#include "frontend/transport.h"
#include "frontend/worker.h"
#include "protocols/login.h"

#define SESSION_MAGIC    0x506f7374u
#define SESSION_HELD_MAX 65536 /* bytes of a client behind its login command */
/* The longest command that the limits allow (an IMAP line with its literals), and a record more. */
#define SESSION_INPUT_MAX (65536 + 32768 + 2 * TRANSPORT_RECORD)

struct session {
	unsigned magic;
	enum session_state state;
	uint64_t id;
	struct worker *worker;
	struct generation *generation;
	const struct served_listener *listener;
	LIST_ENTRY(session) of_state, of_id;
	TAILQ_ENTRY(session) of_resumed;
	bool resumed; /* stands in that list: wants another turn */

	struct transport client, backend;
	struct buffer client_in;  /* plaintext of the client, not yet used */
	struct buffer backend_in; /* the same of the backend */
	ev_timer deadline;        /* accept to login, however busy */
	ev_timer timer;           /* of the state */

	struct dialogue *dialogue;     /* until the relay begins */
	struct credential *credential; /* from capture to the backend's verdict */
	struct login *login;           /* while the backend is being logged in to */
	struct served_pool *pool;
	struct backend_plan *plan; /* the servers that this login may try; NULL before and after */
	size_t tried;              /* which of them is being tried */
	double login_deadline, try_deadline; /* loop time: of the login, of this server */
	struct address server;               /* the one that is tried, or that took the login */
	struct smtp_relay *relay;            /* submission, after login */
	struct extension_list *
		shown; /* with it: what the client was shown before; a copy, since the listener's changes */
	struct auth_exchange exchange;
	bool counted;          /* in the limits; else it was refused at the door */
	bool verified;         /* SASL is sure that the client is `user` */
	bool backend_accepted; /* it took our login for `user` */
	bool plaintext_logged; /* the refusal before TLS is told once */
	bool client_ended;     /* it has closed its side; nothing more will come */
	unsigned refused_commands, auth_failures;
	enum verdict delayed; /* what SESSION_DELAY holds back */
	char *challenge;      /* with it, when that is one */
	bool held;            /* in DELAY: the login itself is held back, not a reply */
	bool waited; /* this attempt has been delayed as the rules against guessing want it */
	struct guess_attempt attempt; /* the latest */

	struct address peer, local;
	char *user; /* as SASL returned it; NULL before */
	char mechanism[24];
	struct tls_facts tls;                   /* of the client; version NULL before TLS */
	struct client_certificate *certificate; /* what it showed; NULL: it was not asked */
	char *sni;                              /* NULL: none */
	const char *reason;                     /* why it ends: a literal */
	double began, active;                   /* loop time */
	bool lingering;                         /* all is sent; only its end of file is awaited */
	size_t lingered;                        /* bytes thrown away while closing */
};

/* Takes the accepted socket; `listener` is the index of that generation's. NULL: out of memory, and fd is closed. */
struct session *session_new(struct worker *, struct generation *, size_t listener, int fd,
			    const struct address *peer);
/* Greets or awaits the handshake. */
void session_start(struct session *);
/* The over-limit answer in place of the greeting (STARTTLS listeners; implicit TLS: nothing), then close. */
void session_refuse(struct session *, const char *reason);

void session_enter(struct session *, enum session_state);
/* Carries the session as far as it goes now, then waits for what it needs. Called for every event. */
void session_run(struct session *);
/* Ends it once all is sent; the reason goes to the log; the first call's counts. */
void session_end(struct session *, const char *reason);
/* Says goodbye in the protocol's words, then session_end(). */
void session_farewell(struct session *, enum farewell, const char *reason);
/* At once, dropping what is queued. */
void session_close(struct session *, const char *reason);
void session_drain(struct session *, bool deadline_passed);
void session_free_closed(struct worker *);

/* Appends to what the client is sent. What does not fit ends the session (our replies are bounded). */
void session_send(struct session *, const char *data, size_t len);
void session_restart_timer(struct session *, double seconds);

/* True when the relay may open: SASL verified the user and the backend accepted our login for that very user, or the backend
 * accepted the command that carried the user's own password. */
bool session_may_relay(const struct session *);

#endif
