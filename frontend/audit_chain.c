/* audit_chain - see audit_chain.h. RFC 5280 4.1. */
#include "frontend/audit_chain.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <time.h>

/* Everything but printable ASCII is escaped, so a name forges no line. */
static void write_name(const X509_NAME *name, char out[AUDIT_TEXT_LEN])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_read(bio, out, AUDIT_TEXT_LEN - 1);
	out[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm parts;

	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void read_link(X509 *certificate, struct audit_link *out)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	int hash = NID_undef;

	write_name(X509_get_subject_name(certificate), out->subject);
	write_name(X509_get_issuer_name(certificate), out->issuer);
	out->not_after = seconds_of(X509_get0_notAfter(certificate));
	out->bits = key ? (unsigned)EVP_PKEY_get_bits(key) : 0;
	out->rsa = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	X509_get_signature_info(certificate, &hash, NULL, NULL, NULL);
	out->self_signed = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
	out->old_hash = (hash == NID_sha1 || hash == NID_md5) && !out->self_signed;
	out->alt_names = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0;
}

size_t audit_chain(struct span pem, struct audit_link *out, size_t max)
{
	BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
	X509 *certificate;
	size_t count = 0;

	if (bio == NULL)
		return 0;
	while (count < max && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		read_link(certificate, &out[count++]);
		X509_free(certificate);
	}
	ERR_clear_error(); /* the end of the text is one */
	BIO_free(bio);
	return count;
}
