/* certificate - reading a chain and what it says; see certificate.h. Judging it is in certificate_check.c. */
#include "frontend/certificate_parts.h"
#include "frontend/key_parts.h"
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS_FEATURE_STATUS_REQUEST 5 /* RFC 7633 */
#define RESPONDER_MAX              1024

/* ---- small facts ---- */

int64_t certificate_time(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : INT64_MIN;
}

void certificate_subject(X509 *x509, char out[128])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0,
					      XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		len = BIO_read(bio, out, 127);
	out[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
}

bool certificate_signed_by(X509 *a, X509 *b)
{
	EVP_PKEY *key = X509_get0_pubkey(b);
	bool is = X509_check_issued(b, a) == X509_V_OK && key != NULL && X509_verify(a, key) == 1;

	ERR_clear_error();
	return is;
}

bool certificate_self_signed(X509 *x509)
{
	EVP_PKEY *key = X509_get0_pubkey(x509);
	bool is = X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) == 0 &&
		  key != NULL && X509_verify(x509, key) == 1;

	ERR_clear_error();
	return is;
}

/* ---- names ---- */

/* A name as it may be asked for: letters, digits, hyphens, underscores and dots, and "*" as the whole left-most label only. */
static bool name_valid(const char *name, size_t len)
{
	size_t label = 0;

	if (len == 0 || len > BOOK_NAME_MAX)
		return false;
	if (name[0] == '*') {
		if (len < 3 || name[1] != '.')
			return false;
		name += 2;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c != '.' && c != '-' && c != '_' && !(c < 0x80 && isalnum(c)))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63 || (c == '.' && (i == 0 || name[i - 1] == '.')))
			return false;
	}
	return label > 0;
}

/* False without memory only. */
static bool name_add(struct certificate *certificate, const ASN1_STRING *string)
{
	const char *name = (const char *)ASN1_STRING_get0_data(string);
	size_t len = (size_t)ASN1_STRING_length(string);
	char *names;

	if (!name_valid(name, len))
		return true;
	names = realloc(certificate->names, certificate->names_len + len + 1);
	if (names == NULL)
		return false;
	certificate->names = names;
	names += certificate->names_len;
	for (size_t i = 0; i < len; i++)
		names[i] = (char)tolower((unsigned char)name[i]);
	names[len] = '\0';
	certificate->names_len += len + 1;
	return true;
}

/* RFC 6125 6.4.4: the common name counts only where there is no subjectAltName. */
static bool read_common_name(struct certificate *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate->chain[0]);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0 ||
	       name_add(certificate, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static bool read_names(struct certificate *certificate)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(certificate->chain[0], NID_subject_alt_name, NULL, NULL);
	bool done = true;

	if (names == NULL)
		return read_common_name(certificate);
	for (int i = 0; done && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			done = name_add(certificate, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	return done;
}

/* ---- extensions ---- */

static bool has_must_staple(X509 *x509)
{
	TLS_FEATURE *features = X509_get_ext_d2i(x509, NID_tlsfeature, NULL, NULL);
	bool found = false;

	for (int i = 0; features != NULL && i < sk_ASN1_INTEGER_num(features); i++)
		found |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) ==
			 TLS_FEATURE_STATUS_REQUEST;
	TLS_FEATURE_free(features);
	return found;
}

/* Printable ASCII without a blank, so that it breaks no line where it is told; and no longer than anybody needs. */
static bool is_address(const char *uri)
{
	size_t len = 0;

	while (uri[len] > ' ' && uri[len] < 0x7f)
		len++;
	return uri[len] == '\0' && len <= RESPONDER_MAX && strncasecmp(uri, "http://", 7) == 0;
}

/* The first responder that can be asked without TLS, as they all can. False without memory only. */
static bool read_responder(struct certificate *certificate)
{
	STACK_OF(OPENSSL_STRING) *uris = X509_get1_ocsp(certificate->chain[0]);
	bool done = true;

	for (int i = 0; certificate->ocsp == NULL && i < sk_OPENSSL_STRING_num(uris); i++) {
		const char *uri = sk_OPENSSL_STRING_value(uris, i);

		if (!is_address(uri))
			continue;
		certificate->ocsp = strdup(uri);
		done = certificate->ocsp != NULL;
	}
	X509_email_free(uris);
	return done;
}

/* ---- the chain ---- */

static bool read_kind(struct certificate *certificate, char why[256])
{
	static const char none[] = "the certificate's key is neither RSA of up to 4096 bits, ECDSA "
				   "P-256 or P-384 with the curve's name, nor Ed25519";
	EVP_PKEY *key = X509_get0_pubkey(certificate->chain[0]);
	enum key_type type;

	if (key == NULL || !key_parts_kind(key, &type, &certificate->bits)) {
		snprintf(why, 256, "%s", none);
		return false;
	}
	if (type == KEY_EC)
		certificate->kind = certificate->bits == 256 ? BOOK_P256 : BOOK_P384;
	else
		certificate->kind = type == KEY_RSA ? BOOK_RSA : BOOK_ED25519;
	return key_parts_spki_hash(key, certificate->spki);
}

/* Keeps the octets as they are in the file, since clients verify those. False without memory only. */
static bool add_certificate(struct certificate *certificate, X509 *x509, const uint8_t *der,
			    size_t len)
{
	size_t i = certificate->count++;

	certificate->chain[i] = x509;
	if (PEM_write_bio(certificate->pem, PEM_STRING_X509, "", der, (long)len) <= 0)
		return false;
	if (i == 0) {
		certificate->issuer_at = BIO_pending(certificate->pem);
		certificate->der = OPENSSL_memdup(der, len);
		certificate->der_len = len;
	}
	if (i == 1)
		certificate->issuer_end = BIO_pending(certificate->pem);
	return certificate->der != NULL;
}

/* Any other kind of text before it is passed over. False: there is no more, or it cannot be read. */
static bool read_one(struct certificate *certificate, BIO *bio)
{
	unsigned char *der = NULL;
	const unsigned char *end;
	long len;
	X509 *x509;
	bool done;

	if (PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, bio, key_parts_no_pass_phrase,
			       NULL) != 1)
		return false;
	end = der;
	x509 = d2i_X509(NULL, &end, len);
	done = x509 != NULL && add_certificate(certificate, x509, der, (size_t)(end - der));
	OPENSSL_free(der);
	return done;
}

static bool read_chain(struct certificate *certificate, BIO *bio, char why[256])
{
	size_t *count = &certificate->count;

	while (*count <= CERTIFICATE_CHAIN_MAX && read_one(certificate, bio))
		continue;
	if (*count > CERTIFICATE_CHAIN_MAX)
		snprintf(why, 256, "it holds more than %d certificates", CERTIFICATE_CHAIN_MAX);
	else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		snprintf(why, 256, "certificate %zu of the chain cannot be read", *count + 1);
	else if (*count == 0)
		snprintf(why, 256, "it holds no certificate in PEM");
	else
		return true;
	return false;
}

static bool read_facts(struct certificate *certificate)
{
	X509 *leaf = certificate->chain[0];

	certificate->must_staple = has_must_staple(leaf);
	certificate->not_before = certificate_time(X509_get0_notBefore(leaf));
	certificate->not_after = certificate_time(X509_get0_notAfter(leaf));
	return key_digest(BOOK_ID_LEN, certificate->der, certificate->der_len,
			  certificate->fingerprint) &&
	       read_names(certificate) && read_responder(certificate);
}

struct certificate *certificate_read(const void *pem, size_t len, char why[256])
{
	struct certificate *certificate = calloc(1, sizeof(*certificate));
	BIO *bio = key_parts_bio(pem, len);
	bool done = false;

	snprintf(why, 256, "out of memory");
	ERR_clear_error();
	if (certificate != NULL)
		certificate->pem = BIO_new(BIO_s_mem());
	if (certificate != NULL && certificate->pem != NULL && bio != NULL &&
	    read_chain(certificate, bio, why)) {
		snprintf(why, 256, "the certificate cannot be read");
		done = read_kind(certificate, why) && read_facts(certificate);
	}
	ERR_clear_error();
	BIO_free(bio);
	if (done)
		return certificate;
	certificate_free(certificate);
	return NULL;
}

void certificate_free(struct certificate *certificate)
{
	if (certificate == NULL)
		return;
	for (size_t i = 0; i < certificate->count; i++)
		X509_free(certificate->chain[i]);
	BIO_free(certificate->pem);
	OPENSSL_free(certificate->der);
	free(certificate->names);
	free(certificate->ocsp);
	free(certificate);
}

void certificate_describe(const struct certificate *certificate, struct book_entry *out)
{
	char *pem;
	long len = BIO_get_mem_data(certificate->pem, &pem);

	out->kind = certificate->kind;
	out->bits = certificate->bits;
	if (certificate->must_staple)
		out->flags |= BOOK_MUST_STAPLE;
	out->not_before = certificate->not_before;
	out->not_after = certificate->not_after;
	out->spki = certificate->spki;
	out->fingerprint = certificate->fingerprint;
	out->chain = (struct span) { pem, (size_t)len };
	out->issuer = (struct span) { pem, 0 };
	if (certificate->issuer_end > 0)
		out->issuer = (struct span) { pem + certificate->issuer_at,
					      certificate->issuer_end - certificate->issuer_at };
	out->leaf = (struct span) { (const char *)certificate->der, certificate->der_len };
	out->names = (struct span) { certificate->names, certificate->names_len };
	out->name = certificate->names_len > 0 ? certificate->names : "";
	out->ocsp = certificate->ocsp != NULL ? certificate->ocsp : "";
}
