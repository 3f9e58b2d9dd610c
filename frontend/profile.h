/* profile - what each TLS profile allows: one row each, of names and numbers only.
 * Invariants: pure data and look-ups, no TLS library; lists end with NULL and stand in our order of preference; numbers are
 * those of IANA, `library` is what wolfSSL calls the same thing. Every name is tried against the library where contexts are
 * made, since it drops names that it does not know.
 * RFC 9325, 8446, 8996; the standard of each row is named beside it in profile.c.
 */
#ifndef FRONTEND_PROFILE_H
#define FRONTEND_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum profile_id {
	PROFILE_MODERN,
	PROFILE_STRICT,
	PROFILE_NIST,
	PROFILE_NCSC,
	PROFILE_TES,
	/* of backend pools only */
	PROFILE_COMPATIBLE,
	PROFILE_LEGACY,
	PROFILES
};

enum profile_version {
	PROFILE_TLS11 = 0x0302,
	PROFILE_TLS12 = 0x0303,
	PROFILE_TLS13 = 0x0304,
};

/* Kinds of keys in certificates, as bits. */
enum profile_key {
	PROFILE_KEY_RSA = 1,
	PROFILE_KEY_P256 = 2,
	PROFILE_KEY_P384 = 4,
	PROFILE_KEY_P521 = 8,
	PROFILE_KEY_ED25519 = 16,
	PROFILE_KEY_ECDSA = PROFILE_KEY_P256 | PROFILE_KEY_P384 | PROFILE_KEY_P521,
};

struct profile_suite {
	uint16_t number;
	const char *iana, *library;
	uint16_t min, max; /* versions that have it */
	unsigned keys;     /* of the certificates that it goes with; in TLS 1.3 any */
};

struct profile_group {
	uint16_t number;
	const char *name;    /* in the log and README */
	const char *library; /* wolfSSL_get_curve_name() */
};

struct profile_sigalg {
	uint16_t number;
	const char *name, *library; /* the latter for wolfSSL_CTX_set1_sigalgs_list() */
	unsigned keys;              /* that it signs with in TLS 1.2 */
	unsigned
		keys13; /* and in TLS 1.3, where the curve belongs to it; none: certificates only */
};

struct profile {
	const char *name, *standard;
	uint16_t min, max; /* enum profile_version */
	const struct profile_suite *const *suites;
	const struct profile_group *const *groups;
	const struct profile_sigalg *const *sigalgs;
	int rsa_bits;        /* the least */
	unsigned keys;       /* of certificates, enum profile_key */
	bool sha1;           /* certificates may be signed with it */
	bool refuse_unknown; /* an unknown server name is refused, whatever tls.unknown_sni says */
	bool listener;       /* may be chosen for listeners; every row may be for pools */
	const char *warning; /* said at every start; NULL: nothing to say */
};

/* Never NULL for an enum profile_id; asserts that it is one. */
const struct profile *profile_find(int id);

/* Of CBC mode with a MAC of its own. */
bool profile_suite_has_mac(const struct profile_suite *);

/* NULL: the profile does not allow it. */
const struct profile_suite *profile_suite(const struct profile *, uint16_t number);
const struct profile_group *profile_group(const struct profile *, uint16_t number);
const struct profile_sigalg *profile_sigalg(const struct profile *, uint16_t number);
/* By the library's name for a curve; NULL too. */
const struct profile_group *profile_group_named(const struct profile *, const char *library);

#endif
