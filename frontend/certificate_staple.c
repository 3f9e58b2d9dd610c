/* certificate_staple - whether an OCSP response is fit to be sent with a certificate; RFC 6960 3.2, 4.2.2.
 * Invariants: what is taken was signed by the issuer or by a responder that the issuer has made so, is about this very certificate, says
 * "good", and ends at a known time that has not come.
 */
#include "frontend/certificate_parts.h"
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>

#define CLOCK_SKEW 300 /* seconds that the responder's clock may be ahead */

/* Trusts the issuer and nobody else. */
static bool signed_rightly(OCSP_BASICRESP *basic, X509 *issuer, int64_t now)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *known = sk_X509_new_null();
	bool is = false;

	if (store != NULL && known != NULL && sk_X509_push(known, issuer) > 0 &&
	    X509_STORE_add_cert(store, issuer) == 1 &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1) {
		X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now);
		is = OCSP_basic_verify(basic, known, store, 0) == 1;
	}
	sk_X509_free(known);
	X509_STORE_free(store);
	return is;
}

/* Whether that answer is about the leaf; the responder has chosen the digest of the names. */
static bool is_about(const OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
	const OCSP_CERTID *theirs = OCSP_SINGLERESP_get0_id(single);
	ASN1_OBJECT *algorithm = NULL;
	const EVP_MD *digest;
	OCSP_CERTID *ours;
	bool same;

	OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, (OCSP_CERTID *)(uintptr_t)theirs);
	digest = EVP_get_digestbyobj(algorithm);
	ours = digest != NULL ? OCSP_cert_to_id(digest, leaf, issuer) : NULL;
	same = ours != NULL && OCSP_id_cmp(ours, theirs) == 0;
	OCSP_CERTID_free(ours);
	return same;
}

static bool single_good(OCSP_SINGLERESP *single, int64_t now, struct certificate_staple *out,
			char why[256])
{
	ASN1_GENERALIZEDTIME *begins = NULL, *ends = NULL;
	int status = OCSP_single_get0_status(single, NULL, NULL, &begins, &ends);

	if (status != V_OCSP_CERTSTATUS_GOOD) {
		snprintf(why, 256, "it says that the certificate is %s",
			 status == V_OCSP_CERTSTATUS_REVOKED ? "revoked" : "unknown");
		return false;
	}
	out->this_update = begins != NULL ? certificate_time(begins) : INT64_MIN;
	out->next_update = ends != NULL ? certificate_time(ends) : INT64_MIN;
	if (out->this_update == INT64_MIN || out->next_update == INT64_MIN)
		snprintf(why, 256, "it does not say how long it holds");
	else if (out->this_update > now + CLOCK_SKEW)
		snprintf(why, 256, "it does not hold yet");
	else if (out->next_update <= now)
		snprintf(why, 256, "it is stale");
	else
		return true;
	return false;
}

static bool basic_good(const struct certificate *certificate, OCSP_BASICRESP *basic, int64_t now,
		       struct certificate_staple *out, char why[256])
{
	X509 *leaf = certificate->chain[0];
	X509 *issuer = certificate->count > 1 ? certificate->chain[1] : leaf;

	if (!certificate_signed_by(leaf, issuer)) {
		snprintf(why, 256,
			 "the issuer's certificate is not in the chain, so it cannot be "
			 "verified");
		return false;
	}
	if (!signed_rightly(basic, issuer, now)) {
		snprintf(why, 256, "it is not signed by the issuer or a responder of his");
		return false;
	}
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		if (is_about(single, leaf, issuer))
			return single_good(single, now, out, why);
	}
	snprintf(why, 256, "it is about another certificate");
	return false;
}

bool certificate_staple(const struct certificate *certificate, const void *der, size_t len,
			int64_t now, struct certificate_staple *out, char why[256])
{
	const unsigned char *at = der;
	OCSP_RESPONSE *response = len <= INT32_MAX ? d2i_OCSP_RESPONSE(NULL, &at, (long)len) : NULL;
	OCSP_BASICRESP *basic = NULL;
	bool good = false;

	if (response == NULL || at != (const unsigned char *)der + len)
		snprintf(why, 256, "it is no OCSP response in DER");
	else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		snprintf(why, 256, "the responder answered \"%s\"",
			 OCSP_response_status_str(OCSP_response_status(response)));
	else if ((basic = OCSP_response_get1_basic(response)) == NULL)
		snprintf(why, 256, "it is no basic OCSP response");
	else
		good = basic_good(certificate, basic, now, out, why);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return good;
}
