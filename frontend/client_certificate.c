/* client_certificate - see client_certificate.h. By libcrypto.
 * Revocation: with a list given every certificate of the path needs one of its issuer that is in time; without, nothing is
 * asked. Strength: 112 bits (RSA of 2048 bits, no SHA-1 signature) whatever the listener's profile.
 */
#include "frontend/client_certificate.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define STRENGTH 2 /* of libcrypto's levels: 112 bits */

struct client_trust {
	X509_STORE *store;
	STACK_OF(X509) * authorities;
	STACK_OF(X509_CRL) * lists;
};

/* ---- what the operator trusts ---- */

static BIO *open_blob(struct config_blob blob)
{
	return BIO_new_mem_buf(blob.data, (int)blob.len);
}

/* True when the text ended, false when what stands in it could not be read. */
static bool at_end_of_pem(void)
{
	unsigned long error = ERR_peek_last_error();
	bool end =
		ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return end;
}

static bool read_authorities(struct client_trust *trust, struct config_blob ca, char why[256])
{
	BIO *bio = open_blob(ca);
	bool rooted = false;
	X509 *one;

	while (bio != NULL && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		rooted = rooted || X509_self_signed(one, 1) == 1;
		if (X509_STORE_add_cert(trust->store, one) != 1 ||
		    sk_X509_push(trust->authorities, one) <= 0) {
			X509_free(one);
			break;
		}
	}
	BIO_free(bio);
	if (!at_end_of_pem())
		snprintf(why, 256, "certificate %d of the authorities cannot be read",
			 sk_X509_num(trust->authorities) + 1);
	else if (!rooted)
		snprintf(why, 256,
			 "among the authorities is none at the top (a self-signed certificate)");
	else
		return true;
	return false;
}

static bool read_lists(struct client_trust *trust, struct config_blob crl, char why[256])
{
	BIO *bio;
	X509_CRL *one;

	if (crl.data == NULL)
		return true;
	bio = open_blob(crl);
	while (bio != NULL && (one = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_crl(trust->store, one) != 1 ||
		    sk_X509_CRL_push(trust->lists, one) <= 0) {
			X509_CRL_free(one);
			break;
		}
	}
	BIO_free(bio);
	if (!at_end_of_pem())
		snprintf(why, 256, "revocation list %d cannot be read",
			 sk_X509_CRL_num(trust->lists) + 1);
	else if (sk_X509_CRL_num(trust->lists) == 0)
		snprintf(why, 256, "there is no revocation list (PEM) in it");
	else
		return true;
	return false;
}

struct client_trust *client_trust_new(struct config_blob ca, struct config_blob crl, char why[256])
{
	struct client_trust *trust = calloc(1, sizeof(*trust));

	snprintf(why, 256, "out of memory");
	if (trust == NULL)
		return NULL;
	ERR_clear_error();
	trust->store = X509_STORE_new();
	trust->authorities = sk_X509_new_null();
	trust->lists = sk_X509_CRL_new_null();
	if (trust->store != NULL && trust->authorities != NULL && trust->lists != NULL &&
	    read_authorities(trust, ca, why) && read_lists(trust, crl, why))
		return trust;
	client_trust_free(trust);
	return NULL;
}

void client_trust_free(struct client_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	sk_X509_pop_free(trust->authorities, X509_free);
	sk_X509_CRL_pop_free(trust->lists, X509_CRL_free);
	free(trust);
}

bool client_trust_authority(const struct client_trust *trust, size_t i, unsigned char **data,
			    size_t *len)
{
	int size;

	*data = NULL;
	if (i >= (size_t)sk_X509_num(trust->authorities))
		return false;
	size = i2d_X509(sk_X509_value(trust->authorities, (int)i), data);
	*len = size > 0 ? (size_t)size : 0;
	return size > 0;
}

void client_trust_der_free(unsigned char *data)
{
	OPENSSL_free(data);
}

bool client_trust_outdated(const struct client_trust *trust)
{
	for (int i = 0; i < sk_X509_CRL_num(trust->lists); i++) {
		const ASN1_TIME *end = X509_CRL_get0_nextUpdate(sk_X509_CRL_value(trust->lists, i));

		if (end != NULL && X509_cmp_current_time(end) < 0)
			return true;
	}
	return false;
}

/* ---- the path ---- */

static STACK_OF(X509) * parse_chain(const struct client_chain *chain)
{
	STACK_OF(X509) *parsed = sk_X509_new_null();

	for (size_t i = 0; parsed != NULL && i < chain->count; i++) {
		const unsigned char *at = chain->items[i].data;
		X509 *one = d2i_X509(NULL, &at, (long)chain->items[i].len);

		if (one == NULL || at != chain->items[i].data + chain->items[i].len ||
		    sk_X509_push(parsed, one) <= 0) {
			X509_free(one);
			sk_X509_pop_free(parsed, X509_free);
			return NULL;
		}
	}
	return parsed;
}

static const char *word_of(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "not_yet_valid";
	case X509_V_ERR_CERT_REVOKED:
		return "revoked";
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
		return "revocation_unknown";
	case X509_V_ERR_INVALID_PURPOSE:
		return "purpose";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "weak";
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return "too_long";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "unknown_authority";
	default:
		return "unacceptable";
	}
}

static void set_rules(const struct client_trust *trust, X509_VERIFY_PARAM *rules)
{
	X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_CLIENT);
	X509_VERIFY_PARAM_set_depth(rules, CLIENT_INTERMEDIATES_MAX);
	X509_VERIFY_PARAM_set_auth_level(rules, STRENGTH);
	if (sk_X509_CRL_num(trust->lists) > 0)
		X509_VERIFY_PARAM_set_flags(rules,
					    X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

static const char *judge_path(const struct client_trust *trust, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	const char *why = "unacceptable";

	if (context != NULL &&
	    X509_STORE_CTX_init(context, trust->store, sk_X509_value(chain, 0), chain) == 1) {
		set_rules(trust, X509_STORE_CTX_get0_param(context));
		if (X509_verify_cert(context) == 1)
			why = NULL;
		else
			why = word_of(X509_STORE_CTX_get_error(context));
	}
	X509_STORE_CTX_free(context);
	return why;
}

/* ---- who it speaks of ---- */

static void take_address(const GENERAL_NAME *name, struct client_identity *identity)
{
	struct span text = {
		(const char *)ASN1_STRING_get0_data(name->d.rfc822Name),
		(size_t)ASN1_STRING_length(name->d.rfc822Name),
	};

	if (identity->address_count < CLIENT_ADDRESSES_MAX &&
	    client_address_take(text, identity->addresses[identity->address_count]))
		identity->address_count++;
	else
		identity->ambiguous = true;
}

/* Every extension of that kind is looked at: libcrypto's own function finds none where there are two. */
static void take_addresses(X509 *certificate, struct client_identity *identity)
{
	int position = -1, critical;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);

	if (names == NULL && X509_get_ext_by_NID(certificate, NID_subject_alt_name, position) >= 0)
		identity->ambiguous = true;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_EMAIL)
			take_address(name, identity);
	}
	GENERAL_NAMES_free(names);
}

static void take_subject(const X509 *certificate, char out[CLIENT_SUBJECT_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	out[0] = '\0';
	if (bio == NULL)
		return;
	X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
	len = BIO_get_mem_data(bio, &text);
	if (len > 0 && len < CLIENT_SUBJECT_MAX) {
		memcpy(out, text, (size_t)len);
		out[len] = '\0';
	}
	BIO_free(bio);
}

static bool take_identity(X509 *certificate, struct client_identity *identity)
{
	unsigned len = 0;

	if (X509_digest(certificate, EVP_sha256(), identity->digest, &len) != 1 ||
	    len != CLIENT_DIGEST_SIZE)
		return false;
	take_subject(certificate, identity->subject);
	take_addresses(certificate, identity);
	return true;
}

const char *client_trust_judge(const struct client_trust *trust, const struct client_chain *chain,
			       struct client_identity *identity)
{
	STACK_OF(X509) *parsed = parse_chain(chain);
	const char *why = "malformed";

	*identity = (struct client_identity) { .ambiguous = false };
	if (parsed != NULL && sk_X509_num(parsed) > 0)
		why = judge_path(trust, parsed);
	if (why == NULL && !take_identity(sk_X509_value(parsed, 0), identity))
		why = "unacceptable";
	sk_X509_pop_free(parsed, X509_free);
	ERR_clear_error();
	return why;
}
