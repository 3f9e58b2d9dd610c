/* pem - see pem.h. */
#include "tests/support/pem.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "libcrypto: %s\n", what);
	abort();
}

/* libcrypto makes no key of an odd number of bits out of two primes. */
static EVP_PKEY *make_rsa(int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;

	must(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
		     EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) == 1 &&
		     EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, bits % 2 == 1 ? 3 : 2) == 1 &&
		     EVP_PKEY_generate(ctx, &key) == 1 && EVP_PKEY_get_bits(key) == bits,
	     "RSA");
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *key = strncmp(kind, "RSA-", 4) == 0  ? make_rsa(atoi(kind + 4))
			: strcmp(kind, "Ed25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
						       : EVP_EC_gen(kind);

	must(key != NULL, kind);
	return key;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
	static long serial = 1;
	X509 *certificate = X509_new();
	X509_NAME *subject;

	must(certificate != NULL, "X509_new");
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	subject = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	if (issuer == NULL)
		issuer = certificate;
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	if (issuer == certificate) {
		extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
		extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
		extend(certificate, issuer, NID_subject_key_identifier, "hash");
	} else {
		char text[300];
		struct in6_addr address;
		bool numeric = inet_pton(AF_INET, name, &address) == 1;

		snprintf(text, sizeof(text), "%s:%s", numeric ? "IP" : "DNS", name);
		extend(certificate, issuer, NID_subject_alt_name, text);
		extend(certificate, issuer, NID_basic_constraints, "CA:FALSE");
	}
	must(X509_sign(certificate, issuer_key, EVP_sha256()) > 0, "X509_sign");
	return certificate;
}

static char *text_of(BIO *bio)
{
	char *data, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)len);
	must(text != NULL, "memory");
	BIO_free(bio);
	return text;
}

static struct pem_pair write_pair(X509 *certificate, EVP_PKEY *key)
{
	BIO *chain = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509(chain, certificate) == 1, "PEM_write_bio_X509");
	must(PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) == 1,
	     "PEM_write_bio_PrivateKey");
	X509_free(certificate);
	EVP_PKEY_free(key);
	return (struct pem_pair) { text_of(chain), text_of(private) };
}

struct pem_pair pem_authority(const char *kind)
{
	EVP_PKEY *key = make_key(kind);

	return write_pair(make_certificate(key, "Throw-away CA", NULL, key), key);
}

struct pem_pair pem_issue(const struct pem_pair *authority, const char *kind, const char *name)
{
	BIO *chain = BIO_new_mem_buf(authority->chain, -1),
	    *private = BIO_new_mem_buf(authority->key, -1);
	X509 *issuer = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *issuer_key = PEM_read_bio_PrivateKey(private, NULL, NULL, NULL);
	EVP_PKEY *key = make_key(kind);
	struct pem_pair pair;

	must(issuer != NULL && issuer_key != NULL, "authority");
	pair = write_pair(make_certificate(key, name, issuer, issuer_key), key);
	X509_free(issuer);
	EVP_PKEY_free(issuer_key);
	BIO_free(chain);
	BIO_free(private);
	return pair;
}

void pem_free(struct pem_pair *pair)
{
	free(pair->chain);
	free(pair->key);
	*pair = (struct pem_pair) { NULL, NULL };
}

static X509 *read_certificate(const struct pem_pair *pair)
{
	BIO *bio = BIO_new_mem_buf(pair->chain, -1);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	must(certificate != NULL, "certificate");
	BIO_free(bio);
	return certificate;
}

size_t pem_der(const struct pem_pair *pair, unsigned char *out, size_t size)
{
	X509 *certificate = read_certificate(pair);
	int len = i2d_X509(certificate, NULL);

	must(len > 0 && (size_t)len <= size && i2d_X509(certificate, &out) == len, "i2d_X509");
	X509_free(certificate);
	return (size_t)len;
}

static EVP_PKEY *read_key(const struct pem_pair *pair)
{
	BIO *bio = BIO_new_mem_buf(pair->key, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	must(key != NULL, "key");
	BIO_free(bio);
	return key;
}

unsigned char *pem_staple(const struct pem_pair *authority, const struct pem_pair *of, long begins,
			  long ends, bool with_issuer, size_t *len)
{
	X509 *issuer = read_certificate(authority), *certificate = read_certificate(of);
	EVP_PKEY *key = read_key(authority);
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, certificate, issuer);
	OCSP_RESPONSE *response;
	ASN1_TIME *from = X509_gmtime_adj(NULL, begins), *until = X509_gmtime_adj(NULL, ends);
	unsigned char *der = NULL, *copy;

	must(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until) !=
		     NULL,
	     "OCSP_basic_add1_status");
	must(OCSP_basic_sign(basic, issuer, key, EVP_sha256(), NULL,
			     with_issuer ? 0 : OCSP_NOCERTS) == 1,
	     "OCSP_basic_sign");
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	must(response != NULL, "OCSP_response_create");
	*len = (size_t)i2d_OCSP_RESPONSE(response, &der);
	copy = malloc(*len);
	must(copy != NULL, "memory");
	memcpy(copy, der, *len);
	OPENSSL_free(der);
	OCSP_CERTID_free(id);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	EVP_PKEY_free(key);
	X509_free(certificate);
	X509_free(issuer);
	return copy;
}

struct pem_pair pem_issue_client(const struct pem_pair *authority, const char *kind,
				 const char *name, const struct pem_extension *extensions, int days)
{
	static long serial = 1000;
	X509 *issuer = read_certificate(authority), *certificate = X509_new();
	EVP_PKEY *issuer_key = read_key(authority), *key = make_key(kind);

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	for (; extensions->name != NULL; extensions++)
		extend(certificate, issuer, OBJ_sn2nid(extensions->name), extensions->value);
	must(X509_sign(certificate, issuer_key, EVP_sha256()) > 0, "X509_sign");
	X509_free(issuer);
	EVP_PKEY_free(issuer_key);
	return write_pair(certificate, key);
}

static void revoke(X509_CRL *list, const struct pem_pair *pair)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	X509 *certificate = read_certificate(pair);

	X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
	X509_REVOKED_set_revocationDate(entry, X509_getm_notBefore(certificate));
	must(X509_CRL_add0_revoked(list, entry) == 1, "X509_CRL_add0_revoked");
	X509_free(certificate);
}

char *pem_revocation_list(const struct pem_pair *authority, const struct pem_pair *revoked)
{
	X509 *issuer = read_certificate(authority);
	EVP_PKEY *key = read_key(authority);
	X509_CRL *list = X509_CRL_new();
	BIO *bio = BIO_new(BIO_s_mem());
	ASN1_TIME *moment = X509_gmtime_adj(NULL, -3600);

	X509_CRL_set_version(list, 1);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(list, moment);
	X509_CRL_set1_nextUpdate(list, X509_gmtime_adj(moment, 3600));
	if (revoked != NULL)
		revoke(list, revoked);
	must(X509_CRL_sign(list, key, EVP_sha256()) > 0, "X509_CRL_sign");
	must(PEM_write_bio_X509_CRL(bio, list) == 1, "PEM_write_bio_X509_CRL");
	ASN1_TIME_free(moment);
	X509_CRL_free(list);
	EVP_PKEY_free(key);
	X509_free(issuer);
	return text_of(bio);
}
