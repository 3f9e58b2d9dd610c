/* chain - see chain.h. */
#include "tests/support/chain.h"
#include <openssl/core_names.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct made {
	X509 *x509;
	EVP_PKEY *key;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "libcrypto: %s\n", what);
	abort();
}

static EVP_PKEY *new_key(const char *kind)
{
	bool explicit = strcmp(kind, "P-256 explicit") == 0;
	EVP_PKEY *key = strncmp(kind, "RSA-", 4) == 0
				? EVP_RSA_gen((unsigned)strtoul(kind + 4, NULL, 10))
			: strcmp(kind, "Ed25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
			: explicit                     ? EVP_EC_gen("P-256")
						       : EVP_EC_gen(kind);

	must(key != NULL, kind);
	must(!explicit || EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
							 OSSL_PKEY_EC_ENCODING_EXPLICIT) == 1,
	     kind);
	return key;
}

static void extend(X509 *x509, X509 *issuer, const char *name, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf(NULL, &context, name, value);
	must(extension != NULL && X509_add_ext(x509, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

struct made *make_one(const struct make *make)
{
	static long serial = 1;
	const char *kind = make->kind != NULL ? make->kind : "P-256";
	struct made *made = calloc(1, sizeof(*made));
	X509 *x509 = X509_new();
	X509 *issuer = make->issuer != NULL ? make->issuer->x509 : x509;
	bool usual = make->begins == 0 && make->ends == 0;
	EVP_PKEY *signer;
	const EVP_MD *digest;

	must(made != NULL && x509 != NULL, "memory");
	made->x509 = x509;
	made->key = make->key != NULL ? make->key->key : new_key(kind);
	if (make->key != NULL)
		EVP_PKEY_up_ref(made->key);
	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x509), 86400L * (usual ? -1 : make->begins));
	X509_gmtime_adj(X509_getm_notAfter(x509), 86400L * (usual ? 90 : make->ends));
	X509_set_pubkey(x509, made->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
				   (const unsigned char *)make->name, -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	for (size_t i = 0; make->extensions[i] != NULL; i += 2)
		extend(x509, issuer, make->extensions[i], make->extensions[i + 1]);
	signer = make->issuer != NULL ? make->issuer->key : made->key;
	digest = EVP_get_digestbyname(make->digest != NULL ? make->digest : "SHA256");
	if (EVP_PKEY_is_a(signer, "ED25519"))
		digest = NULL;
	must(X509_sign(x509, signer, digest) > 0, "X509_sign");
	return made;
}

struct made *make_authority(const char *name, const struct made *issuer)
{
	return make_one(&(struct make) {
		.name = name,
		.issuer = issuer,
		.extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage",
				"critical,keyCertSign" },
	});
}

struct made *make_leaf(const char *names, const struct made *issuer)
{
	return make_one(&(struct make) {
		.name = "leaf",
		.issuer = issuer,
		.extensions = { "basicConstraints", "CA:FALSE", "subjectAltName", names },
	});
}

void made_free(struct made *made)
{
	if (made == NULL)
		return;
	X509_free(made->x509);
	EVP_PKEY_free(made->key);
	free(made);
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

char *made_chain(const struct made *first, ...)
{
	BIO *bio = BIO_new(BIO_s_mem());
	va_list args;

	va_start(args, first);
	for (const struct made *made = first; made != NULL; made = va_arg(args, struct made *))
		must(PEM_write_bio_X509(bio, made->x509) == 1, "PEM_write_bio_X509");
	va_end(args);
	return text_of(bio);
}

char *made_key(const struct made *made)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey(bio, made->key, NULL, NULL, 0, NULL, NULL) == 1,
	     "PEM_write_bio_PrivateKey");
	return text_of(bio);
}

static OCSP_BASICRESP *make_basic(const struct response *response)
{
	const struct made *signer = response->signer != NULL ? response->signer : response->issuer;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id =
		OCSP_cert_to_id(EVP_sha1(), response->about->x509, response->issuer->x509);
	ASN1_TIME *begins = X509_gmtime_adj(NULL, response->begins);
	ASN1_TIME *ends = response->ends != 0 ? X509_gmtime_adj(NULL, response->ends) : NULL;

	must(OCSP_basic_add1_status(basic, id, response->status, OCSP_REVOKED_STATUS_UNSPECIFIED,
				    response->status == V_OCSP_CERTSTATUS_REVOKED ? begins : NULL,
				    begins, ends) != NULL,
	     "OCSP_basic_add1_status");
	must(OCSP_basic_sign(basic, signer->x509, signer->key, EVP_sha256(), NULL, 0) == 1,
	     "OCSP_basic_sign");
	OCSP_CERTID_free(id);
	ASN1_TIME_free(begins);
	ASN1_TIME_free(ends);
	return basic;
}

uint8_t *make_response(const struct response *response, size_t *len)
{
	OCSP_BASICRESP *basic = response->refused ? NULL : make_basic(response);
	OCSP_RESPONSE *made = OCSP_response_create(response->refused, basic);
	unsigned char *der = NULL;
	int size = i2d_OCSP_RESPONSE(made, &der);
	uint8_t *copy = size > 0 ? malloc((size_t)size) : NULL;

	must(copy != NULL, "i2d_OCSP_RESPONSE");
	memcpy(copy, der, (size_t)size);
	*len = (size_t)size;
	OPENSSL_free(der);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(made);
	return copy;
}
