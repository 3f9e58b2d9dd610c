/* audit_findings - the one table of what an audit may find, each with the clause that it breaks. */
#ifndef FRONTEND_AUDIT_FINDINGS_H
#define FRONTEND_AUDIT_FINDINGS_H

#include <stdio.h>

enum audit_finding {
	/* listeners */
	AUDIT_NO_IMPLICIT_TWIN,
	AUDIT_OLD_VERSION,
	AUDIT_WEAK_SUITES,
	AUDIT_UNKNOWN_SNI,
	AUDIT_ALPN_COMPAT,
	AUDIT_TICKETS_OLD,
	AUDIT_HOSTNAME_MISSING,
	AUDIT_NO_CERTIFICATE,
	/* certificates */
	AUDIT_UNUSABLE,
	AUDIT_EXPIRED,
	AUDIT_EXPIRES_SOON,
	AUDIT_CHAIN_EXPIRES,
	AUDIT_KEY_SMALL,
	AUDIT_OLD_HASH,
	AUDIT_SELF_SIGNED,
	AUDIT_WILDCARD,
	AUDIT_NO_ALT_NAME,
	AUDIT_MUST_STAPLE,
	AUDIT_STAPLE_STALE,
	AUDIT_NO_STAPLE,
	/* servers behind */
	AUDIT_POOL_OLD_VERSION,
	AUDIT_NOT_VERIFIED,
	AUDIT_CLEAR_TEXT,
	AUDIT_FINDINGS
};

enum audit_level { AUDIT_NOTE, AUDIT_FINDING };

struct audit_row {
	enum audit_level level;
	const char *clause, *text;
};

const struct audit_row *audit_row(enum audit_finding);

#endif
