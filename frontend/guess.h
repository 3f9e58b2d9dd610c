/* guess - failed logins counted over all workers, by place and by user, and what they lead to.
 * A place is an IPv4 address or the /64 of an IPv6 one; the wider network (/24, /48) counts too, eight times as slowly and for
 * delays only, since neighbours may be innocent. Users, and users at a place, are known by a keyed hash alone.
 * Invariants: a section of the shared mapping (shared.h); fixed size, the least and oldest gives way; counts fade after the
 * window. Nothing here lets anybody in: it can only delay an attempt, or refuse it for now. Nobody can lock a user
 * out by failing in his name: that delays places where the user has not been before, and refuses nothing.
 */
#ifndef FRONTEND_GUESS_H
#define FRONTEND_GUESS_H

#include "frontend/config.h"
#include "frontend/shared.h"
#include "protocols/credential.h"

#define GUESS_NETWORK_WEIGHT 8
#define GUESS_COUNT_MAX      4095              /* of one worker in a sixth of the window */
#define GUESS_KNOWN_SECONDS  (14 * 24 * 3600u) /* how long a success is remembered */

/* For shared.c. */
size_t guess_size(unsigned workers);
/* The failures that a dead worker counted stay, and fade: a crash must be no way to start anew. Its open attempts go. */
void guess_worker_died(struct shared *, unsigned worker);

/* How one worker looks at the table, at one moment. */
struct guess_view {
	const struct shared *shared;
	const struct config_guessing *policy;
	unsigned worker;
	uint32_t now; /* seconds of a clock that all workers share and nobody sets back */
};

/* Who tries, from where, and with what: keyed hashes of it; 0: not known. */
struct guess_attempt {
	uint64_t place, network, user, pair, print;
	bool exempt; /* the place is not counted */
	bool open;   /* between guess_begin() and guess_end() */
};

void guess_attempt_init(struct guess_attempt *, const struct guess_view *, const struct sockaddr *,
			bool exempt);
/* The password may be empty: not known. */
void guess_attempt_name(struct guess_attempt *, const struct guess_view *, struct span user,
			struct span password);
/* Of an exchange whose name only the auth process learns: the print covers its responses as they came. */
void guess_attempt_response(struct guess_attempt *, const struct guess_view *,
			    struct span response);

enum guess_answer {
	GUESS_GO,     /* after the delay */
	GUESS_WAIT,   /* as many attempts of that place are open as it may have: ask again soon */
	GUESS_REFUSE, /* too many have failed */
};

/* name_follows: the user is not known yet but will be, and this is asked again then; only what holds for everybody at that
 * place is said now. delay: milliseconds. */
enum guess_answer guess_check(const struct guess_view *, const struct guess_attempt *,
			      bool name_follows, unsigned *delay);

/* While the attempt is being decided it counts as open, so that many at once do not slip through together. */
void guess_begin(const struct guess_view *, struct guess_attempt *);
void guess_end(const struct guess_view *,
	       struct guess_attempt *); /* also twice, or without begin */

/* A threshold that was crossed now. */
struct guess_news {
	const char *scope;  /* "address", "network", "user" */
	const char *answer; /* "delay", "refuse" */
	unsigned count;
};
#define GUESS_NEWS_MAX 4

/* Counts it. False when the very same was tried before: that counts once. Fills in the news. */
bool guess_failed(const struct guess_view *, const struct guess_attempt *,
		  struct guess_news news[GUESS_NEWS_MAX], size_t *count);
/* That user is known here from now on, and his own failures here are forgiven; those with other names stay, so that an
 * account of one's own is no help in guessing others'. */
void guess_succeeded(const struct guess_view *, const struct guess_attempt *);

/* Failures that count now, for the log and for tests. */
unsigned guess_count_place(const struct guess_view *, const struct guess_attempt *);
unsigned guess_count_user(const struct guess_view *, const struct guess_attempt *);

#endif
