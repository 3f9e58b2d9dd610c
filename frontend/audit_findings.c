/* audit_findings - see audit_findings.h. A note is a matter of choice or of the certificate's authority; a finding is the operator's to
 * mend.
 */
#include "frontend/audit_findings.h"
#include <assert.h>

static const struct audit_row rows[AUDIT_FINDINGS] = {
	[AUDIT_NO_IMPLICIT_TWIN] = { AUDIT_FINDING, "RFC 8314 3, RFC 9325 3.2",
				     "STARTTLS without a listener beside it that speaks TLS from "
				     "the first byte" },
	[AUDIT_OLD_VERSION] = { AUDIT_FINDING, "RFC 8996 5, RFC 9325 3.1.1",
				"the profile allows a version before TLS 1.2" },
	[AUDIT_WEAK_SUITES] = { AUDIT_FINDING, "RFC 9325 4.1, 4.2",
				"the profile allows suites with CBC or finite-field "
				"Diffie-Hellman" },
	[AUDIT_UNKNOWN_SNI] = { AUDIT_NOTE, "RFC 9325 3.7",
				"a client that asks for an unknown name gets the default "
				"certificate; "
				"unknown_sni = \"refuse\" ends its handshake" },
	[AUDIT_ALPN_COMPAT] = { AUDIT_FINDING, "RFC 9325 3.8, RFC 7301 3.2",
				"alpn = \"compat\" lets a client on that names another protocol" },
	[AUDIT_TICKETS_OLD] = { AUDIT_FINDING, "RFC 9325 3.4",
				"keys of session tickets stay for more than a week" },
	[AUDIT_HOSTNAME_MISSING] = { AUDIT_FINDING, "RFC 8314 4.4, RFC 7817 3",
				     "no certificate of this listener carries the host name" },
	[AUDIT_NO_CERTIFICATE] = { AUDIT_FINDING, "RFC 8314 4.4",
				   "no certificate of this listener can be used" },
	[AUDIT_UNUSABLE] = { AUDIT_FINDING, "RFC 8314 4.4", "this certificate cannot be used" },
	[AUDIT_EXPIRED] = { AUDIT_FINDING, "RFC 5280 4.1.2.5, RFC 8314 4.4",
			    "the certificate has expired" },
	[AUDIT_EXPIRES_SOON] = { AUDIT_FINDING, "RFC 8314 4.4",
				 "the certificate expires within 21 days" },
	[AUDIT_CHAIN_EXPIRES] = { AUDIT_FINDING, "RFC 5280 6.1.3",
				  "a certificate of the chain expires before the server's own, and "
				  "within 21 "
				  "days" },
	[AUDIT_KEY_SMALL] = { AUDIT_FINDING, "RFC 9325 4.5",
			      "an RSA key of less than 2048 bits in the chain" },
	[AUDIT_OLD_HASH] = { AUDIT_FINDING, "RFC 9325 4.5",
			     "a certificate of the chain is signed with SHA-1 or MD5" },
	[AUDIT_SELF_SIGNED] = { AUDIT_FINDING, "RFC 8314 4.4, RFC 7817 3",
				"the certificate is of no authority: only clients that know it "
				"already can "
				"verify it" },
	[AUDIT_WILDCARD] = { AUDIT_NOTE, "RFC 9525 7.1",
			     "a wildcard: whoever takes one host of the domain can pose as this "
			     "one" },
	[AUDIT_NO_ALT_NAME] = { AUDIT_FINDING, "RFC 7817 3, RFC 9525 4.1",
				"the name stands in the common name only; clients look at "
				"subjectAltName" },
	[AUDIT_MUST_STAPLE] = { AUDIT_FINDING, "RFC 7633",
				"the certificate demands a stapled OCSP response, and none can be "
				"sent: "
				"clients that heed it will refuse to connect" },
	[AUDIT_STAPLE_STALE] = { AUDIT_FINDING, "RFC 6960 4.2.2.1",
				 "the OCSP response has ended, and is not sent" },
	[AUDIT_NO_STAPLE] = { AUDIT_NOTE, "RFC 9325 7.5",
			      "no OCSP response to staple, though the authority has a responder" },
	[AUDIT_POOL_OLD_VERSION] = { AUDIT_FINDING, "RFC 8996 5, RFC 9325 3.1.1",
				     "the profile allows a version before TLS 1.2 towards the "
				     "servers" },
	[AUDIT_NOT_VERIFIED] = { AUDIT_FINDING, "RFC 7817 3, RFC 9325 7.1",
				 "verify = \"none\": anybody on the way can pose as the server "
				 "behind" },
	[AUDIT_CLEAR_TEXT] = { AUDIT_FINDING, "RFC 4616 5",
			       "plaintext_ok: passwords and mail can be read on the way to the "
			       "server behind" },
};

const struct audit_row *audit_row(enum audit_finding finding)
{
	assert(finding < AUDIT_FINDINGS && rows[finding].text != NULL);
	return &rows[finding];
}
