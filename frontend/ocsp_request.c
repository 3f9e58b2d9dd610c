/* ocsp_request - see ocsp_request.h. */
#include "frontend/ocsp_request.h"
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <limits.h>

static X509 *read_leaf(struct span der)
{
	const unsigned char *at = (const unsigned char *)der.data;

	return der.len <= LONG_MAX ? d2i_X509(NULL, &at, (long)der.len) : NULL;
}

static X509 *read_issuer(struct span pem)
{
	BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
	X509 *issuer = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return issuer;
}

static size_t write_request(OCSP_REQUEST *request, uint8_t out[OCSP_REQUEST_MAX])
{
	int len = i2d_OCSP_REQUEST(request, NULL);

	if (len <= 0 || len > OCSP_REQUEST_MAX)
		return 0;
	return i2d_OCSP_REQUEST(request, &out) == len ? (size_t)len : 0;
}

size_t ocsp_request(struct span leaf, struct span issuer, uint8_t out[OCSP_REQUEST_MAX])
{
	X509 *certificate = read_leaf(leaf), *authority = read_issuer(issuer);
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	OCSP_CERTID *id = NULL;
	size_t len = 0;

	if (certificate != NULL && authority != NULL)
		id = OCSP_cert_to_id(EVP_sha1(), certificate, authority);
	if (request != NULL && id != NULL && OCSP_request_add0_id(request, id) != NULL) {
		id = NULL; /* the request's now */
		len = write_request(request, out);
	}
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
	X509_free(certificate);
	X509_free(authority);
	ERR_clear_error();
	return len;
}
