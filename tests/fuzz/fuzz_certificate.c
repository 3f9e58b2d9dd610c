/* fuzz_certificate - chains that an operator's file holds, and OCSP responses about them.
 * Input: u8 how many certificates, per certificate u16 length (low octet first) and DER; the rest is an OCSP response. More than
 * CERTIFICATES of them: the rest is PEM text. Invariants: what is read can be judged; what a book gets of it is read again as the same.
 */
#include "frontend/certificate.h"
#include "frontend/key.h"
#include "tests/fuzz/require.h"
#include <openssl/pem.h>
#include <string.h>

#define CERTIFICATES 3
#define NOW          1795324800 /* 2026-11-22, when the responses in the corpus hold */

static char *pem_of(const uint8_t **data, size_t *size, unsigned count, size_t *len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem, *copy;
	long written;

	REQUIRE(bio);
	for (; count > 0 && *size >= 2; count--) {
		size_t der = (*data)[0] | (size_t)(*data)[1] << 8;

		*data += 2;
		*size -= 2;
		if (der > *size)
			der = *size;
		PEM_write_bio(bio, "CERTIFICATE", "", *data, (long)der); /* nothing of nothing */
		*data += der;
		*size -= der;
	}
	written = BIO_get_mem_data(bio, &pem);
	*len = (size_t)written;
	copy = malloc(*len + 1);
	REQUIRE(copy);
	if (*len > 0)
		memcpy(copy, pem, *len);
	BIO_free(bio);
	return copy;
}

/* Lower case, of letters that a name may have, and a wildcard only in front. */
static void check_names(const struct book_entry *entry)
{
	for (const char *name = book_next_name(entry, NULL); name != NULL;
	     name = book_next_name(entry, name)) {
		REQUIRE(*name != '\0' && strlen(name) <= BOOK_NAME_MAX);
		REQUIRE(name[0] != '*' || name[1] == '.');
		REQUIRE(strspn(name + (name[0] == '*'),
			       "abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
			strlen(name + (name[0] == '*')));
	}
}

static void check_same(const struct book_entry *entry)
{
	char why[256];
	struct certificate *again = certificate_read(entry->chain.data, entry->chain.len, why);
	struct book_entry same = { 0 };

	REQUIRE(again);
	certificate_describe(again, &same);
	REQUIRE(memcmp(same.fingerprint, entry->fingerprint, BOOK_ID_LEN) == 0);
	REQUIRE(memcmp(same.spki, entry->spki, BOOK_ID_LEN) == 0);
	REQUIRE(same.chain.len == entry->chain.len && same.names.len == entry->names.len);
	certificate_free(again);
}

static void use(const struct certificate *certificate, const uint8_t *response, size_t len)
{
	struct config_faults faults = { 0 };
	const struct certificate_judge judge = {
		.faults = &faults,
		.place = { "x", 1 },
		.path = "chain.pem",
		.now = NOW,
	};
	struct book_entry entry = { 0 };
	struct certificate_staple staple;
	char why[256];

	certificate_describe(certificate, &entry);
	check_names(&entry);
	check_same(&entry);
	certificate_check(certificate, &judge);
	for (int id = 0; id < PROFILES; id++)
		certificate_check_profile(certificate, profile_find(id), &judge);
	if (certificate_staple(certificate, response, len, NOW, &staple, why))
		REQUIRE(staple.next_update > NOW && staple.this_update <= NOW + 300);
	config_faults_cleanup(&faults);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	REQUIRE(key_library_init() == 0);
	/* a store of the system's would make findings depend on the machine */
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate *certificate;
	char why[256], *pem;
	unsigned count;
	size_t len;

	if (size < 1 || size > 65536)
		return 0;
	count = *data++;
	size--;
	if (count > CERTIFICATES) {
		certificate = certificate_read(data, size, why);
		if (certificate)
			use(certificate, data, 0);
		certificate_free(certificate);
		return 0;
	}
	pem = pem_of(&data, &size, count, &len);
	certificate = certificate_read(pem, len, why);
	free(pem);
	if (certificate)
		use(certificate, data, size);
	certificate_free(certificate);
	return 0;
}
