/* gate - what becomes of a client by its hello: refused with an alert, or let on to the TLS library with a certificate.
 * Decided before the library sees the hello, since it could neither change to another kind of certificate later nor keep all
 * the rules of a profile. Nothing is offered that was not decided here.
 * Invariants: pure; a verdict keeps no pointer into the hello.
 * RFC 8446 4.1.1, 4.2.3, 9.2; RFC 8422 5.1; RFC 5246 7.4.1.4.1; RFC 6066 3; RFC 7301 3.2; RFC 7507; RFC 9325 3.7, 3.8.
 */
#ifndef FRONTEND_GATE_H
#define FRONTEND_GATE_H

#include "frontend/book.h"
#include "frontend/profile.h"
#include "protocols/tls_hello.h"

/* What a list of application protocols (ALPN) has to be like. Without an identifier of our own, as for submission, every list
 * names strangers only. */
enum gate_alpn {
	GATE_ALPN_STRICT,  /* none at all, or one with ours in it */
	GATE_ALPN_REQUIRE, /* one with ours in it */
	GATE_ALPN_COMPAT,  /* or one of names that belong to no protocol */
};

struct gate_rules {
	const struct profile *profile;
	uint32_t set;        /* of the book's entries */
	bool refuse_unknown; /* names that none of them carries; a profile may insist on it */
	int alpn;            /* enum gate_alpn */
	const char *alpn_id; /* registered for the protocol; NULL: none is */
};

struct gate_verdict {
	/* refused */
	enum tls_alert alert;
	const char *reason; /* a word for the log */

	/* accepted */
	uint32_t entry;    /* of the book */
	uint16_t version;  /* that will be spoken */
	const char *alpn;  /* to be confirmed to the client; NULL: nothing is */
	bool alpn_ignored; /* let through by GATE_ALPN_COMPAT */
};

/* False: refused. The hello is one of TLS_HELLO_DONE. */
bool gate_decide(const struct gate_rules *, const struct book *, const struct tls_hello *,
		 struct gate_verdict *out);

/* What the i-th suite of the client is, if it can be spoken in that version; NULL: it cannot. */
const struct profile_suite *gate_suite(const struct profile *, const struct tls_hello *, size_t i,
				       uint16_t version);

/* gate_alpn.c: false: refused. */
bool gate_alpn_decide(const struct gate_rules *, const struct tls_hello *,
		      struct gate_verdict *out);
/* gate_certificate.c: which of the entries the client can verify in out->version, the best of them; false: none. */
bool gate_certificate_choose(const struct gate_rules *, const struct book *,
			     const struct tls_hello *, const uint32_t *entries, size_t count,
			     struct gate_verdict *out);

#endif
