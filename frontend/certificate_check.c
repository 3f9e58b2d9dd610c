/* certificate_check - judging a chain: each rule a function, each fault a sentence for whoever runs the server; see certificate.h. */
#include "frontend/certificate_parts.h"
#include "frontend/key.h"
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAY 86400
#define INTERMEDIATES                                                                              \
	2048 /* least RSA bits of those who sign, whatever the profile asks of the leaf */

void certificate_fault(const struct certificate_judge *judge, bool warning, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config_fault(judge->faults, warning, judge->place.file, judge->place.line, "%s: %s",
		     judge->path, text);
}

static void date_text(int64_t seconds, char out[32])
{
	struct tm tm;
	time_t time = (time_t)seconds;

	if (gmtime_r(&time, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		snprintf(out, 32, "an unknown time");
}

/* ---- validity ---- */

static void check_validity(const struct certificate *certificate, size_t i,
			   const struct certificate_judge *judge)
{
	X509 *x509 = certificate->chain[i];
	int64_t begins = certificate_time(X509_get0_notBefore(x509));
	int64_t ends = certificate_time(X509_get0_notAfter(x509));
	char subject[128], date[32];

	certificate_subject(x509, subject);
	if (begins == INT64_MIN || ends == INT64_MIN) {
		certificate_fault(judge, false, "certificate %zu (%s) has dates that are none",
				  i + 1, subject);
	} else if (begins > judge->now) {
		date_text(begins, date);
		certificate_fault(judge, false, "certificate %zu (%s) is not valid before %s",
				  i + 1, subject, date);
	} else if (ends <= judge->now) {
		date_text(ends, date);
		certificate_fault(judge, judge->expired_ok, "certificate %zu (%s) expired on %s",
				  i + 1, subject, date);
	} else if (i == 0 && ends - judge->now <= CERTIFICATE_WARN_DAYS * DAY &&
		   ends - begins > CERTIFICATE_WARN_DAYS * DAY) {
		date_text(ends, date);
		certificate_fault(judge, true, "the certificate expires in %d days, on %s",
				  (int)((ends - judge->now) / DAY), date);
	}
}

/* ---- purpose ---- */

/* Some clients do not look at it. */
static void check_purpose(const struct certificate *certificate,
			  const struct certificate_judge *judge)
{
	X509 *leaf = certificate->chain[0];

	/* both are UINT32_MAX where there is no such extension */
	if ((X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0)
		certificate_fault(judge, true,
				  "the certificate is not for servers (extendedKeyUsage): most "
				  "clients will refuse it");
	if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		certificate_fault(judge, true,
				  "the certificate's key may not sign (keyUsage), as TLS with "
				  "forward secrecy asks for: many clients will refuse it");
}

/* ---- order ---- */

/* Why certificate i is not signed by the one behind it. */
static void explain_order(const struct certificate *certificate, size_t i,
			  const struct certificate_judge *judge)
{
	X509 *x509 = certificate->chain[i];
	char subject[128];

	certificate_subject(x509, subject);
	for (size_t j = 0; j < certificate->count; j++) {
		if (j == i || j == i + 1 || !certificate_signed_by(x509, certificate->chain[j]))
			continue;
		certificate_fault(judge, false,
				  "wrong order: certificate %zu (%s) is issued by certificate %zu, "
				  "which must stand right behind it",
				  i + 1, subject, j + 1);
		return;
	}
	if (X509_check_issued(certificate->chain[i + 1], x509) == X509_V_ERR_KEYUSAGE_NO_CERTSIGN)
		certificate_fault(judge, false,
				  "certificate %zu may not sign others (keyUsage), yet it is the "
				  "issuer of certificate %zu (%s)",
				  i + 2, i + 1, subject);
	else if (certificate_self_signed(x509))
		certificate_fault(
			judge, false,
			"certificate %zu (%s) is self-signed, yet %zu more stand behind it", i + 1,
			subject, certificate->count - i - 1);
	else if (X509_check_issued(certificate->chain[i + 1], x509) == X509_V_OK)
		certificate_fault(judge, false,
				  "the signature of certificate %zu (%s) was not made with the key "
				  "of certificate %zu, which bears its issuer's name",
				  i + 1, subject, i + 2);
	else
		certificate_fault(
			judge, false,
			"certificate %zu (%s) is not issued by the one behind it, and its "
			"issuer is not in the file",
			i + 1, subject);
	ERR_clear_error();
}

/* X509_check_ca(): 1 says so in basicConstraints, 3 is a self-signed one of version 1. */
static void check_authority(const struct certificate *certificate, size_t i,
			    const struct certificate_judge *judge)
{
	X509 *x509 = certificate->chain[i];
	int is = X509_check_ca(x509);
	long below = X509_get_pathlen(x509);
	char subject[128];

	certificate_subject(x509, subject);
	if (is != 1 && is != 3)
		certificate_fault(judge, false,
				  "certificate %zu (%s) signs another one, but is no authority "
				  "(basicConstraints CA)",
				  i + 1, subject);
	else if (below >= 0 && i - 1 > (size_t)below)
		certificate_fault(judge, false,
				  "certificate %zu (%s) allows %ld authorities below it, and there "
				  "are %zu",
				  i + 1, subject, below, i - 1);
}

/* ---- completeness ---- */

static bool names_its_issuers_place(X509 *x509)
{
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(x509, NID_info_access, NULL, NULL);
	bool found = false;

	for (int i = 0; access != NULL && i < sk_ACCESS_DESCRIPTION_num(access); i++)
		found |= OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(access, i)->method) ==
			 NID_ad_ca_issuers;
	AUTHORITY_INFO_ACCESS_free(access);
	return found;
}

static bool issuer_in_system_store(X509 *x509)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	bool found = store != NULL && ctx != NULL && X509_STORE_set_default_paths(store) == 1 &&
		     X509_STORE_CTX_init(ctx, store, x509, NULL) == 1 &&
		     X509_STORE_CTX_get1_issuer(&issuer, ctx, x509) == 1 &&
		     certificate_signed_by(x509, issuer);

	X509_free(issuer);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return found;
}

static void check_complete(const struct certificate *certificate,
			   const struct certificate_judge *judge)
{
	X509 *leaf = certificate->chain[0];

	if (certificate->count > 1 || certificate_self_signed(leaf) ||
	    !names_its_issuers_place(leaf) || issuer_in_system_store(leaf))
		return;
	certificate_fault(
		judge, false,
		"incomplete chain: the certificate is alone, and its issuer is no root of "
		"this system's store; append the authority's intermediate certificates "
		"(often the file is called fullchain.pem)");
}

void certificate_check(const struct certificate *certificate, const struct certificate_judge *judge)
{
	for (size_t i = 0; i < certificate->count; i++)
		check_validity(certificate, i, judge);
	check_purpose(certificate, judge);
	for (size_t i = 0; i + 1 < certificate->count; i++) {
		if (!certificate_signed_by(certificate->chain[i], certificate->chain[i + 1])) {
			explain_order(certificate, i, judge);
			return;
		}
		check_authority(certificate, i + 1, judge);
	}
	check_complete(certificate, judge);
}

/* ---- profiles ---- */

static void check_key_kind(const struct certificate *certificate, const struct profile *profile,
			   const struct certificate_judge *judge)
{
	static const struct {
		const char *name;
		unsigned bit;
	} kinds[BOOK_KINDS] = {
		[BOOK_P256] = { "ECDSA P-256", PROFILE_KEY_P256 },
		[BOOK_P384] = { "ECDSA P-384", PROFILE_KEY_P384 },
		[BOOK_RSA] = { "RSA", PROFILE_KEY_RSA },
		[BOOK_ED25519] = { "Ed25519", PROFILE_KEY_ED25519 },
	};

	if ((profile->keys & kinds[certificate->kind].bit) == 0)
		certificate_fault(judge, false, "profile \"%s\" allows no key of %s", profile->name,
				  kinds[certificate->kind].name);
	else if (certificate->kind == BOOK_RSA && certificate->bits < (unsigned)profile->rsa_bits)
		certificate_fault(judge, false,
				  "the RSA key has %u bits; profile \"%s\" asks for %d and more",
				  certificate->bits, profile->name, profile->rsa_bits);
}

static void check_signer_size(const struct certificate *certificate, size_t i,
			      const struct profile *profile, const struct certificate_judge *judge)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate->chain[i]);
	int least = profile->rsa_bits < INTERMEDIATES ? profile->rsa_bits : INTERMEDIATES;
	char subject[128];

	certificate_subject(certificate->chain[i], subject);
	if (key != NULL && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) < least)
		certificate_fault(judge, false,
				  "the RSA key of certificate %zu (%s) has %d bits; profile \"%s\" "
				  "asks for %d and more",
				  i + 1, subject, EVP_PKEY_get_bits(key), profile->name, least);
}

/* Nobody looks at the signature that a root makes over itself. */
static void check_signature(const struct certificate *certificate, size_t i,
			    const struct profile *profile, const struct certificate_judge *judge)
{
	X509 *x509 = certificate->chain[i];
	int digest = NID_undef;
	char subject[128];

	X509_get_signature_info(x509, &digest, NULL, NULL, NULL);
	if ((digest != NID_sha1 && digest != NID_md5) || (digest == NID_sha1 && profile->sha1) ||
	    (i > 0 && certificate_self_signed(x509)))
		return;
	certificate_subject(x509, subject);
	certificate_fault(judge, false,
			  "certificate %zu (%s) is signed with %s, which profile \"%s\" forbids",
			  i + 1, subject, digest == NID_md5 ? "MD5" : "SHA-1", profile->name);
}

void certificate_check_profile(const struct certificate *certificate, const struct profile *profile,
			       const struct certificate_judge *judge)
{
	check_key_kind(certificate, profile, judge);
	for (size_t i = 0; i < certificate->count; i++) {
		check_signature(certificate, i, profile, judge);
		if (i > 0)
			check_signer_size(certificate, i, profile, judge);
	}
}

/* ---- the pair ---- */

void certificate_check_key(const struct certificate *certificate, const void *pem, size_t len,
			   const struct certificate_judge *judge)
{
	uint8_t id[KEY_ID_LEN];
	char why[256];
	struct key *key = key_from_pem(pem, len, why);

	if (key == NULL) {
		certificate_fault(judge, false, "%s", why);
		return;
	}
	key_spki_hash(key, id);
	key_free(key);
	if (memcmp(id, certificate->spki, sizeof(id)) != 0)
		certificate_fault(judge, false,
				  "the key does not belong to the first certificate of the chain");
}
