/* session_table - all sessions of a worker: by id, and a list per state.
 * Invariants: a session is in exactly one list, that of its state; the table owns nothing.
 */
#ifndef FRONTEND_SESSION_TABLE_H
#define FRONTEND_SESSION_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum session_state {
	SESSION_ACCEPTED, /* implicit TLS, or after STARTTLS: no byte of the handshake yet */
	SESSION_HANDSHAKE,
	SESSION_DIALOGUE, /* before or inside TLS; the dialogue knows the phase */
	SESSION_AUTH,     /* the auth process is asked */
	SESSION_CONNECT,  /* to the backend, and its TLS */
	SESSION_LOGIN,    /* our login there */
	SESSION_DELAY,    /* a refusal is being held back */
	SESSION_RELAY,
	SESSION_CLOSING, /* what is queued goes out, then both ends hang up */
	SESSION_CLOSED,  /* the janitor frees it at the end of this turn of the loop */
	SESSION_STATES
};

extern const char *const session_state_names[SESSION_STATES];

struct session;
LIST_HEAD(session_list, session);

#define SESSION_BUCKETS 4096

struct session_table {
	struct session_list by_state[SESSION_STATES];
	struct session_list by_id[SESSION_BUCKETS];
	size_t count[SESSION_STATES];
	size_t total;
};

void session_table_init(struct session_table *);
void session_table_add(struct session_table *, struct session *);
void session_table_move(struct session_table *, struct session *, enum session_state from,
			enum session_state to);
void session_table_remove(struct session_table *, struct session *);
struct session *session_table_find(const struct session_table *, uint64_t id); /* NULL: gone */

#endif
