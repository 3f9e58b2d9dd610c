/* certificate - a chain from a file: what it says, whether a client can be shown it, and whether an OCSP response belongs to it.
 * Invariants: nothing here opens a file of the configuration or holds a private key beyond a call; what is handed on is made of nothing but
 * the certificates that were read, so nothing else that the file holds (a key, too) gets out.
 * RFC 5280, 6125 6.4.4, 6960, 7633; RFC 8446 4.4.2 on the order of a chain.
 */
#ifndef FRONTEND_CERTIFICATE_H
#define FRONTEND_CERTIFICATE_H

#include "frontend/book.h"
#include "frontend/config.h"
#include "frontend/profile.h"

struct certificate;

/* The chain of a PEM text, the leaf first; NULL and why when it is none, or the leaf's key is of no kind that a book has. */
struct certificate *certificate_read(const void *pem, size_t len, char why[256]);
void certificate_free(struct certificate *); /* NULL is fine */
/* What a book says of it: all but set, place, key source and staple, which stay as they are. Valid as long as the certificate. */
void certificate_describe(const struct certificate *, struct book_entry *out);

/* Where its faults go: `place` is what the configuration says about it, `path` begins each text. */
struct certificate_judge {
	struct config_faults *faults;
	struct config_source place;
	const char *path;
	int64_t now;
	bool expired_ok; /* expiry is a warning then */
};

/* A fault, as of config_fault(), of that certificate. */
__attribute__((format(printf, 3, 4))) void certificate_fault(const struct certificate_judge *,
							     bool warning, const char *format, ...);

/* Everything but what depends on a profile: each certificate's validity, order and signatures, whether the chain is complete. It is when
 * its last certificate
 *  - is self-signed, or
 *  - is an intermediate: its root is for the clients to have (RFC 8446 4.4.2), or
 *  - is the leaf alone, of a root in the system's store, or of an authority that does not say where its certificate can be fetched
 *    (no caIssuers): that is a root of one's own. Public authorities say it, and never sign with their root.
 * Also warns when the leaf expires soon. */
void certificate_check(const struct certificate *, const struct certificate_judge *);
/* Kind and size of its key and the signatures' algorithms by the rules of a profile. */
void certificate_check_profile(const struct certificate *, const struct profile *,
			       const struct certificate_judge *);
/* Whether that private key (PEM) is the leaf's. */
void certificate_check_key(const struct certificate *, const void *pem, size_t len,
			   const struct certificate_judge *);

#define CERTIFICATE_WARN_DAYS 21

struct certificate_staple {
	int64_t this_update, next_update;
};

/* Whether that DER is an OCSP response that says now, by whoever may say it, that the leaf is good. */
bool certificate_staple(const struct certificate *, const void *der, size_t len, int64_t now,
			struct certificate_staple *out, char why[256]);

#endif
