/* test_certificate - what is read of a chain, each fault that one can have, and OCSP responses. */
#include "frontend/certificate.h"
#include "frontend/key.h"
#include "tests/support/chain.h"
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static struct made *root, *middle, *leaf; /* of most tests */

static int setup(void **state)
{
	assert_int_equal(key_library_init(), 0);
	root = make_authority("Root", NULL);
	middle = make_authority("Middle", root);
	leaf = make_leaf("DNS:mail.a.test", middle);
	return 0;
}

static int teardown(void **state)
{
	made_free(root);
	made_free(middle);
	made_free(leaf);
	return 0;
}

/* ---- what is read ---- */

static struct certificate *read_text(const char *pem)
{
	char why[256] = "";
	struct certificate *certificate = certificate_read(pem, strlen(pem), why);

	if (certificate == NULL)
		fail_msg("%s", why);
	return certificate;
}

static struct certificate *read_one(const struct make *make)
{
	struct made *made = make_one(make);
	char *pem = made_chain(made, NULL);
	struct certificate *certificate = read_text(pem);

	free(pem);
	made_free(made);
	return certificate;
}

/* names: separated by spaces */
static void assert_names(const struct make *make, const char *names)
{
	struct certificate *certificate = read_one(make);
	struct book_entry entry = { 0 };
	char have[512] = "";

	certificate_describe(certificate, &entry);
	for (const char *name = book_next_name(&entry, NULL); name != NULL;
	     name = book_next_name(&entry, name)) {
		strcat(have, have[0] != '\0' ? " " : "");
		strcat(have, name);
	}
	assert_string_equal(have, names);
	certificate_free(certificate);
}

#define SAN(text) .extensions = { "subjectAltName", text }

static void names_are_read_as_they_may_be_asked_for(void **state)
{
	assert_names(&(struct make) { .name = "x", SAN("DNS:Mail.A.Test,DNS:*.a.test") },
		     "mail.a.test *.a.test");
	assert_names(&(struct make) { .name = "Common.Test" }, "common.test");
	assert_names(&(struct make) { .name = "common.test", SAN("DNS:a.test") }, "a.test");
	assert_names(&(struct make) { .name = "common.test", SAN("IP:127.0.0.1") }, "");
	assert_names(&(struct make) { .name = "Some Person" }, "");
	assert_names(&(struct make) { .name = "x",
				      SAN("DNS:m*.a.test,DNS:mail.*.test,DNS:*,DNS:*.,DNS:a..test,"
					  "DNS:.a.test,DNS:a.test.,DNS:ok.test,DNS:*.*.test") },
		     "ok.test");
	assert_names(&(struct make) { .name = "x", SAN("DNS:a_b.xn--test-9ta.test,email:a@b") },
		     "a_b.xn--test-9ta.test");
}

static void a_book_gets_what_it_needs(void **state)
{
	struct made *made = make_one(&(struct make) {
		.kind = "RSA-2048",
		.name = "x",
		.issuer = middle,
		.extensions = { "subjectAltName", "DNS:a.test", "tlsfeature", "status_request",
				"authorityInfoAccess",
				"OCSP;URI:ldap://a,OCSP;URI:http://a.test/\x1b[2J,"
				"OCSP;URI:http://a.test/ FINDING,OCSP;URI:http://ocsp.test/,"
				"OCSP;URI:http://other.test/" },
	});
	char *pem = made_chain(made, middle, root, NULL), *alone = made_chain(middle, NULL);
	char *key_pem = made_key(made), why[256];
	struct key *key = key_from_pem((uint8_t *)key_pem, strlen(key_pem), why);
	struct certificate *certificate = read_text(pem);
	struct book_entry entry = { .set = 4, .file = "here" };
	uint8_t id[KEY_ID_LEN];

	certificate_describe(certificate, &entry);
	assert_int_equal(entry.set, 4);
	assert_string_equal(entry.file, "here");
	assert_int_equal(entry.kind, BOOK_RSA);
	assert_int_equal(entry.bits, 2048);
	assert_int_equal(entry.flags, BOOK_MUST_STAPLE);
	assert_true(entry.not_after - entry.not_before == 91 * 86400);
	assert_int_equal(entry.chain.len, strlen(pem));
	assert_memory_equal(entry.chain.data, pem, strlen(pem));
	assert_int_equal(entry.issuer.len, strlen(alone));
	assert_memory_equal(entry.issuer.data, alone, strlen(alone));
	key_spki_hash(key, id);
	assert_memory_equal(entry.spki, id, BOOK_ID_LEN);
	assert_true(key_digest(32, entry.leaf.data, entry.leaf.len, id));
	assert_memory_equal(entry.fingerprint, id, BOOK_ID_LEN);
	assert_string_equal(entry.ocsp, "http://ocsp.test/");
	assert_string_equal(entry.name, "a.test");
	certificate_free(certificate);
	key_free(key);
	free(key_pem);
	free(pem);
	free(alone);
	made_free(made);
}

static void each_kind_of_key_is_known(void **state)
{
	static const struct {
		const char *kind;
		enum book_kind is;
		unsigned bits;
	} cases[] = {
		{ "P-256", BOOK_P256, 256 },
		{ "P-384", BOOK_P384, 384 },
		{ "RSA-3072", BOOK_RSA, 3072 },
		{ "Ed25519", BOOK_ED25519, 256 },
	};

	for (size_t i = 0; i < 4; i++) {
		struct certificate *certificate =
			read_one(&(struct make) { .kind = cases[i].kind, .name = "a.test" });
		struct book_entry entry = { 0 };

		certificate_describe(certificate, &entry);
		assert_int_equal(entry.kind, cases[i].is);
		assert_int_equal(entry.bits, cases[i].bits);
		assert_int_equal(entry.flags, 0);
		assert_int_equal(entry.issuer.len, 0);
		assert_string_equal(entry.ocsp, "");
		certificate_free(certificate);
	}
}

static void nothing_but_the_certificates_gets_out_of_a_file(void **state)
{
	char *key = made_key(leaf), *chain = made_chain(leaf, middle, NULL);
	char *both = malloc(strlen(key) * 2 + strlen(chain) + 32);
	struct certificate *certificate;
	struct book_entry entry = { 0 };

	sprintf(both, "a word before\n%s%s%sand behind\n", key, chain, key);
	certificate = read_text(both);
	certificate_describe(certificate, &entry);
	assert_int_equal(entry.chain.len, strlen(chain));
	assert_memory_equal(entry.chain.data, chain, strlen(chain));
	certificate_free(certificate);
	free(both);
	free(key);
	free(chain);
}

/* Clients verify the signature over what they are sent, so nothing may be put in better form. */
static void the_octets_stay_as_they_are_in_the_file(void **state)
{
	char *pem = made_chain(leaf, NULL), *odd_pem;
	struct certificate *certificate = read_text(pem);
	struct book_entry entry = { 0 };
	uint8_t odd[2048] = { 0x30, 0x83, 0 }; /* a longer form of the first length than DER has */
	BIO *bio = BIO_new(BIO_s_mem());
	size_t len;

	certificate_describe(certificate, &entry);
	len = entry.leaf.len;
	assert_memory_equal(entry.leaf.data, "\x30\x82", 2);
	memcpy(odd + 3, entry.leaf.data + 2, len - 2);
	certificate_free(certificate);
	assert_true(PEM_write_bio(bio, "CERTIFICATE", "", odd, (long)len + 1) > 0);
	len = (size_t)BIO_get_mem_data(bio, &odd_pem);
	certificate = certificate_read(odd_pem, len, (char[256]) { "" });
	assert_non_null(certificate);
	certificate_describe(certificate, &entry);
	assert_int_equal(entry.chain.len, len);
	assert_memory_equal(entry.chain.data, odd_pem, len);
	assert_memory_equal(entry.leaf.data, odd, entry.leaf.len);
	certificate_free(certificate);
	BIO_free(bio);
	free(pem);
}

static void assert_unread(const char *pem, size_t len, const char *why_not)
{
	char why[256] = "";

	assert_null(certificate_read(pem, len, why));
	if (strstr(why, why_not) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, why_not);
}

static void what_is_no_chain_is_refused_in_words(void **state)
{
	char *pem = made_chain(leaf, middle, NULL), *key = made_key(leaf);
	char *many =
		made_chain(leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, NULL);
	struct made *large = make_one(&(struct make) { .kind = "P-521", .name = "a.test" });
	char *large_pem = made_chain(large, NULL);

	assert_unread("", 0, "no certificate in PEM");
	assert_unread("\x30\x82\x01", 3, "no certificate in PEM");
	assert_unread(key, strlen(key), "no certificate in PEM");
	assert_unread(pem, 100, "certificate 1 of the chain cannot be read");
	assert_unread(pem, strlen(pem) - 40, "certificate 2 of the chain cannot be read");
	pem[80] ^= 1;
	assert_unread(pem, strlen(pem), "certificate 1 of the chain cannot be read");
	assert_unread(many, strlen(many), "more than 10 certificates");
	assert_unread(large_pem, strlen(large_pem),
		      "neither RSA of up to 4096 bits, ECDSA P-256 or P-384");
	free(large_pem);
	made_free(large);
	free(many);
	free(key);
	free(pem);
}

static void every_prefix_is_refused_or_whole(void **state)
{
	char *pem = made_chain(leaf, NULL), why[256];
	struct certificate *certificate;

	for (size_t len = 0; len < strlen(pem) - 1; len++)
		assert_null(certificate_read(pem, len, why));
	certificate = certificate_read(pem, strlen(pem), why);
	assert_non_null(certificate);
	certificate_free(certificate);
	free(pem);
}

/* ---- faults ---- */

static struct config_faults faults;

static struct certificate_judge judge(void)
{
	config_faults_cleanup(&faults);
	return (struct certificate_judge) {
		.faults = &faults,
		.place = { "postern.conf", 7 },
		.path = "chain.pem",
		.now = time(NULL),
	};
}

/* Exactly one fault, with these words, or none (NULL). */
static void assert_fault(bool warning, const char *words)
{
	if (words == NULL) {
		for (size_t i = 0; i < faults.count; i++)
			fail_msg("%s", faults.items[i].text);
		return;
	}
	if (faults.count != 1)
		fail_msg("%zu faults instead of \"%s\" (%s)", faults.count, words,
			 faults.count > 0 ? faults.items[0].text : "");
	if (strstr(faults.items[0].text, words) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", faults.items[0].text, words);
	assert_int_equal(faults.items[0].warning, warning);
	assert_string_equal(faults.items[0].file, "postern.conf");
	assert_int_equal(faults.items[0].line, 7);
	assert_int_equal(strncmp(faults.items[0].text, "chain.pem: ", 11), 0);
}

static void check_with(char *pem, const struct certificate_judge *by)
{
	struct certificate *certificate = read_text(pem);

	certificate_check(certificate, by);
	certificate_free(certificate);
	free(pem);
}

static void check(char *pem)
{
	const struct certificate_judge by = judge();

	check_with(pem, &by);
}

static void chains_that_are_complete(void **state)
{
	struct made *alone = make_leaf("DNS:a.test", root);
	struct made *own = make_one(&(struct make) { .name = "a.test" });

	check(made_chain(leaf, middle, NULL));
	assert_fault(false, NULL);
	check(made_chain(leaf, middle, root, NULL));
	assert_fault(false, NULL);
	check(made_chain(alone, NULL));
	assert_fault(false, NULL);
	check(made_chain(own, NULL));
	assert_fault(false, NULL);
	made_free(alone);
	made_free(own);
}

static void a_leaf_alone_that_says_where_its_issuer_is_needs_a_root_of_the_system(void **state)
{
	struct made *public = make_one(&(struct make) {
		.name = "a.test",
		.issuer = middle,
		.extensions = { "authorityInfoAccess", "caIssuers;URI:http://ca.test/middle.der" },
	});
	char path[] = "/tmp/test-certificate-XXXXXX", *store = made_chain(middle, NULL);
	int fd = mkstemp(path);

	check(made_chain(public, NULL));
	assert_fault(false, "incomplete chain");
	check(made_chain(public, middle, NULL));
	assert_fault(false, NULL);
	assert_int_equal(write(fd, store, strlen(store)), strlen(store));
	close(fd);
	setenv("SSL_CERT_FILE", path, 1);
	check(made_chain(public, NULL));
	unsetenv("SSL_CERT_FILE");
	unlink(path);
	assert_fault(false, NULL);
	free(store);
	made_free(public);
}

static void chains_out_of_order_or_with_a_stranger(void **state)
{
	struct made *other = make_authority("Other", NULL);
	struct made *namesake = make_authority("Middle", root);

	check(made_chain(leaf, root, middle, NULL));
	assert_fault(false, "wrong order: certificate 1 (CN = leaf) is issued by certificate 3");
	check(made_chain(leaf, other, NULL));
	assert_fault(false, "certificate 1 (CN = leaf) is not issued by the one behind it");
	check(made_chain(leaf, namesake, NULL));
	assert_fault(false, "was not made with the key of certificate 2");
	check(made_chain(leaf, middle, root, other, NULL));
	assert_fault(false, "certificate 3 (CN = Root) is self-signed, yet 1 more");
	check(made_chain(leaf, leaf, middle, NULL));
	assert_fault(false, "wrong order: certificate 1 (CN = leaf) is issued by certificate 3");
	made_free(other);
	made_free(namesake);
}

static void issuers_that_are_no_authorities(void **state)
{
	struct made *plain = make_one(&(struct make) {
		.name = "Plain",
		.issuer = root,
		.extensions = { "basicConstraints", "CA:FALSE" },
	});
	struct made *signs_not = make_one(&(struct make) {
		.name = "Plain",
		.issuer = root,
		.extensions = { "keyUsage", "critical,digitalSignature" },
	});
	struct made *shallow = make_one(&(struct make) {
		.name = "Shallow",
		.extensions = { "basicConstraints", "critical,CA:TRUE,pathlen:0" },
	});
	struct made *below = make_authority("Below", shallow);
	struct made *by_plain = make_leaf("DNS:a.test", plain);
	struct made *by_signs_not = make_leaf("DNS:a.test", signs_not);
	struct made *deep = make_leaf("DNS:a.test", below),
		    *direct = make_leaf("DNS:a.test", shallow);

	check(made_chain(by_plain, plain, root, NULL));
	assert_fault(false, "certificate 2 (CN = Plain) signs another one, but is no authority");
	check(made_chain(by_signs_not, signs_not, root, NULL));
	assert_fault(false, "certificate 2 may not sign others (keyUsage)");
	check(made_chain(deep, below, shallow, NULL));
	assert_fault(false, "certificate 3 (CN = Shallow) allows 0 authorities below it");
	check(made_chain(direct, shallow, NULL));
	assert_fault(false, NULL);
	made_free(plain);
	made_free(signs_not);
	made_free(shallow);
	made_free(below);
	made_free(by_plain);
	made_free(by_signs_not);
	made_free(deep);
	made_free(direct);
}

static char *chain_of(const struct make *make)
{
	struct made *made = make_one(make);
	char *pem = made_chain(made, NULL);

	made_free(made);
	return pem;
}

static void validity(void **state)
{
	struct certificate_judge soft;
	struct made *over = make_one(&(struct make) {
		.name = "Over",
		.begins = -9,
		.ends = -1,
		.extensions = { "basicConstraints", "CA:TRUE" },
	});
	struct made *below = make_leaf("DNS:a.test", over);

	check(chain_of(&(struct make) { .name = "a.test", .begins = -9, .ends = -1 }));
	assert_fault(false, "certificate 1 (CN = a.test) expired on ");
	soft = judge();
	soft.expired_ok = true;
	check_with(chain_of(&(struct make) { .name = "a.test", .begins = -9, .ends = -1 }), &soft);
	assert_fault(true, "expired on ");
	check(made_chain(below, over, NULL));
	assert_fault(false, "certificate 2 (CN = Over) expired on ");
	check(chain_of(&(struct make) { .name = "a.test", .begins = 1, .ends = 9 }));
	assert_fault(false, "is not valid before ");
	soft = judge();
	soft.expired_ok = true;
	check_with(chain_of(&(struct make) { .name = "a.test", .begins = 1, .ends = 9 }), &soft);
	assert_fault(false, "is not valid before ");
	made_free(over);
	made_free(below);
}

static void the_end_is_announced_three_weeks_before(void **state)
{
	check(chain_of(&(struct make) { .name = "a.test", .begins = -60, .ends = 21 }));
	assert_fault(true, "the certificate expires in 2");
	check(chain_of(&(struct make) { .name = "a.test", .begins = -60, .ends = 22 }));
	assert_fault(false, NULL);
	/* one that never lives so long says nothing new with it */
	check(chain_of(&(struct make) { .name = "a.test", .begins = -1, .ends = 6 }));
	assert_fault(false, NULL);
}

/* RFC 5280 4.2.1.12, RFC 8446 4.4.2.2 */
static void a_certificate_that_is_not_for_servers_is_announced(void **state)
{
	static const struct {
		const char *name, *value, *words;
	} cases[] = {
		{ "extendedKeyUsage", "clientAuth", "not for servers (extendedKeyUsage)" },
		{ "extendedKeyUsage", "clientAuth,serverAuth", NULL },
		{ "extendedKeyUsage", "anyExtendedKeyUsage", NULL },
		{ "keyUsage", "critical,keyEncipherment", "may not sign (keyUsage)" },
		{ "keyUsage", "critical,keyEncipherment,digitalSignature", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check(chain_of(&(struct make) { .name = "a.test",
						.extensions = { cases[i].name, cases[i].value } }));
		assert_fault(true, cases[i].words);
	}
}

/* ---- profiles and pairs ---- */

static void check_profile(char *pem, int profile)
{
	const struct certificate_judge by = judge();
	struct certificate *certificate = read_text(pem);

	certificate_check_profile(certificate, profile_find(profile), &by);
	certificate_free(certificate);
	free(pem);
}

static void keys_have_the_size_that_a_profile_asks_for(void **state)
{
	struct made *small = make_one(&(struct make) {
		.kind = "RSA-1024",
		.name = "Small",
		.extensions = { "basicConstraints", "CA:TRUE" },
	});
	struct made *below = make_leaf("DNS:a.test", small);

	check_profile(chain_of(&(struct make) { .kind = "RSA-2048", .name = "a" }), PROFILE_MODERN);
	assert_fault(false, NULL);
	check_profile(chain_of(&(struct make) { .kind = "RSA-1024", .name = "a" }), PROFILE_MODERN);
	assert_fault(false, "the RSA key has 1024 bits; profile \"modern\" asks for 2048 and more");
	check_profile(chain_of(&(struct make) { .kind = "RSA-2048", .name = "a" }), PROFILE_NCSC);
	assert_fault(false, "profile \"ncsc\" asks for 3072");
	check_profile(chain_of(&(struct make) { .kind = "Ed25519", .name = "a" }), PROFILE_NIST);
	assert_fault(false, "profile \"nist\" allows no key of Ed25519");
	check_profile(chain_of(&(struct make) { .kind = "P-384", .name = "a" }), PROFILE_NIST);
	assert_fault(false, NULL);
	check_profile(made_chain(below, small, NULL), PROFILE_MODERN);
	assert_fault(false, "the RSA key of certificate 2 (CN = Small) has 1024 bits");
	made_free(small);
	made_free(below);
}

static void weak_signatures_are_refused_but_for_a_roots_own(void **state)
{
	struct made *old = make_one(&(struct make) {
		.name = "Old",
		.digest = "SHA1",
		.extensions = { "basicConstraints", "CA:TRUE" },
	});
	struct make make = { .name = "a", .issuer = old };

	make.digest = "SHA1";
	check_profile(chain_of(&make), PROFILE_MODERN);
	assert_fault(false,
		     "certificate 1 (CN = a) is signed with SHA-1, which profile \"modern\"");
	check_profile(chain_of(&make), PROFILE_LEGACY);
	assert_fault(false, NULL);
	make.digest = "SHA384";
	{
		struct made *made = make_one(&make);

		check_profile(made_chain(made, old, NULL), PROFILE_MODERN);
		assert_fault(false, NULL);
		made_free(made);
	}
	check_profile(chain_of(&(struct make) { .kind = "RSA-2048", .name = "a", .digest = "MD5" }),
		      PROFILE_LEGACY);
	assert_fault(false, "is signed with MD5");
	made_free(old);
}

static void check_key(const char *key)
{
	const struct certificate_judge by = judge();
	char *pem = made_chain(leaf, middle, NULL);
	struct certificate *certificate = read_text(pem);

	certificate_check_key(certificate, key, strlen(key), &by);
	certificate_free(certificate);
	free(pem);
}

static void a_key_belongs_to_its_certificate(void **state)
{
	char *own = made_key(leaf), *other = made_key(middle);

	check_key(own);
	assert_fault(false, NULL);
	check_key(other);
	assert_fault(false, "the key does not belong to the first certificate of the chain");
	check_key("");
	assert_fault(false, "the key cannot be read");
	free(own);
	free(other);
}

static char *key_in_the_old_form(const char *pem, const EVP_CIPHER *cipher)
{
	BIO *in = BIO_new_mem_buf(pem, -1), *out = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	char *text;

	assert_int_equal(PEM_write_bio_PrivateKey_traditional(out, key, cipher,
							      (const unsigned char *)"secret", 6,
							      NULL, NULL),
			 1);
	assert_int_equal(BIO_write(out, "", 1), 1);
	BIO_get_mem_data(out, &text);
	text = strdup(text);
	EVP_PKEY_free(key);
	BIO_free(in);
	BIO_free(out);
	return text;
}

static void assert_key_taken(const char *before, const char *pem, bool taken)
{
	char text[4096], why[256] = "";
	struct key *key;

	assert_in_range(snprintf(text, sizeof(text), "%s%s", before, pem), 1, sizeof(text) - 1);
	key = key_from_pem((const uint8_t *)text, strlen(text), why);
	if ((key != NULL) != taken)
		fail_msg("%s\n%s", why, text);
	key_free(key);
}

static void keys_are_read_in_every_form_that_tools_write(void **state)
{
	static const char *const kinds[] = { "P-256", "P-384", "RSA-2048", "Ed25519" };
	static const char parameters[] = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
					 "-----END EC PARAMETERS-----\n";
	char *chain = made_chain(leaf, NULL);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct made *made = make_one(&(struct make) { .kind = kinds[i], .name = "a.test" });
		char *key = made_key(made);

		assert_key_taken("", key, true);
		assert_key_taken("\xef\xbb\xbf", key, true);
		assert_key_taken("Bag Attributes\n    friendlyName: a\n", key, true);
		assert_key_taken(chain, key, true);
		if (i < 3) {
			char *old = key_in_the_old_form(key, NULL);
			char *secret = key_in_the_old_form(key, EVP_aes_128_cbc());

			assert_key_taken("", old, true);
			assert_key_taken(parameters, old, true);
			assert_key_taken("", secret, false);
			free(old);
			free(secret);
		}
		free(key);
		made_free(made);
	}
	free(chain);
}

/* RFC 5480 2.1.1 forbids them: no client takes such a certificate. */
static void a_curve_that_is_not_named_is_refused(void **state)
{
	struct made *made = make_one(&(struct make) { .kind = "P-256 explicit", .name = "a.test" });
	char *pem = made_chain(made, NULL), *key = made_key(made), why[256] = "";

	assert_null(certificate_read(pem, strlen(pem), why));
	assert_non_null(strstr(why, "with the curve's name"));
	assert_key_taken("", key, false);
	free(pem);
	free(key);
	made_free(made);
}

/* ---- OCSP ---- */

/* NULL: it is taken. */
static void assert_staple(const struct response *response, const char *words)
{
	char *pem = made_chain(response->about, response->issuer, NULL), why[256] = "taken";
	struct certificate *certificate = read_text(pem);
	struct certificate_staple staple;
	size_t len;
	uint8_t *der = make_response(response, &len);
	bool taken = certificate_staple(certificate, der, len, time(NULL), &staple, why);

	if (taken != (words == NULL) || (words != NULL && strstr(why, words) == NULL))
		fail_msg("\"%s\" instead of \"%s\"", why, words != NULL ? words : "taken");
	if (taken)
		assert_true(staple.next_update - staple.this_update ==
			    response->ends - response->begins);
	free(der);
	free(pem);
	certificate_free(certificate);
}

static void a_response_by_whoever_may_say_it_is_taken(void **state)
{
	struct made *responder = make_one(&(struct make) {
		.name = "Responder",
		.issuer = middle,
		.extensions = { "extendedKeyUsage", "OCSPSigning" },
	});
	struct made *nobody = make_one(&(struct make) { .name = "Nobody", .issuer = middle });
	struct made *stranger = make_one(&(struct make) {
		.name = "Stranger",
		.issuer = root,
		.extensions = { "extendedKeyUsage", "OCSPSigning" },
	});
	struct made *over = make_one(&(struct make) {
		.name = "Over",
		.issuer = middle,
		.begins = -9,
		.ends = -1,
		.extensions = { "extendedKeyUsage", "OCSPSigning" },
	});
	struct response response = { .about = leaf, .issuer = middle, .begins = -60, .ends = 3600 };

	assert_staple(&response, NULL);
	response.signer = responder;
	assert_staple(&response, NULL);
	response.signer = nobody;
	assert_staple(&response, "not signed by the issuer or a responder");
	response.signer = stranger;
	assert_staple(&response, "not signed by the issuer or a responder");
	response.signer = over;
	assert_staple(&response, "not signed by the issuer or a responder");
	response.signer = root;
	assert_staple(&response, "not signed by the issuer or a responder");
	made_free(responder);
	made_free(nobody);
	made_free(stranger);
	made_free(over);
}

static void a_response_must_say_good_and_hold_now(void **state)
{
	const struct response good = {
		.about = leaf, .issuer = middle, .begins = -60, .ends = 3600
	};
	struct response response = good;

	response.status = 1;
	assert_staple(&response, "revoked");
	response.status = 2;
	assert_staple(&response, "unknown");
	response = good;
	response.begins = -7200;
	response.ends = -1;
	assert_staple(&response, "stale");
	response.ends = 0;
	assert_staple(&response, "does not say how long");
	response = good;
	response.begins = 1000;
	assert_staple(&response, "does not hold yet");
	response = good;
	response.refused = 3; /* tryLater */
	assert_staple(&response, "answered \"trylater\"");
}

static bool staple_taken(const char *pem, const uint8_t *der, size_t len, char why[256])
{
	struct certificate *certificate = read_text(pem);
	struct certificate_staple staple;
	bool taken = certificate_staple(certificate, der, len, time(NULL), &staple, why);

	certificate_free(certificate);
	return taken;
}

static void a_response_about_another_or_cut_or_unverifiable_is_not_taken(void **state)
{
	struct made *other = make_leaf("DNS:b.test", middle);
	char *pem = made_chain(leaf, middle, NULL), *alone = made_chain(leaf, NULL);
	const struct response response = {
		.about = other,
		.issuer = middle,
		.begins = -60,
		.ends = 3600,
	};
	const struct response ours = {
		.about = leaf, .issuer = middle, .begins = -60, .ends = 3600
	};
	char why[256];
	size_t len;
	uint8_t *der = make_response(&response, &len);

	assert_false(staple_taken(pem, der, len, why));
	assert_non_null(strstr(why, "about another certificate"));
	free(der);
	der = make_response(&ours, &len);
	assert_true(staple_taken(pem, der, len, why));
	assert_false(staple_taken(alone, der, len, why));
	assert_non_null(strstr(why, "issuer's certificate is not in the chain"));
	for (size_t i = 0; i < len; i++)
		assert_false(staple_taken(pem, der, i, why));
	der = realloc(der, len + 1);
	der[len] = 0;
	assert_false(staple_taken(pem, der, len + 1, why));
	for (size_t i = 0; i < len; i += 7) {
		der[i] ^= 0x10;
		staple_taken(pem, der, len, why);
		der[i] ^= 0x10;
	}
	free(der);
	free(pem);
	free(alone);
	made_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_as_they_may_be_asked_for),
		cmocka_unit_test(a_book_gets_what_it_needs),
		cmocka_unit_test(each_kind_of_key_is_known),
		cmocka_unit_test(nothing_but_the_certificates_gets_out_of_a_file),
		cmocka_unit_test(the_octets_stay_as_they_are_in_the_file),
		cmocka_unit_test(what_is_no_chain_is_refused_in_words),
		cmocka_unit_test(every_prefix_is_refused_or_whole),
		cmocka_unit_test(chains_that_are_complete),
		cmocka_unit_test(
			a_leaf_alone_that_says_where_its_issuer_is_needs_a_root_of_the_system),
		cmocka_unit_test(chains_out_of_order_or_with_a_stranger),
		cmocka_unit_test(issuers_that_are_no_authorities),
		cmocka_unit_test(validity),
		cmocka_unit_test(the_end_is_announced_three_weeks_before),
		cmocka_unit_test(a_certificate_that_is_not_for_servers_is_announced),
		cmocka_unit_test(keys_have_the_size_that_a_profile_asks_for),
		cmocka_unit_test(weak_signatures_are_refused_but_for_a_roots_own),
		cmocka_unit_test(a_key_belongs_to_its_certificate),
		cmocka_unit_test(keys_are_read_in_every_form_that_tools_write),
		cmocka_unit_test(a_curve_that_is_not_named_is_refused),
		cmocka_unit_test(a_response_by_whoever_may_say_it_is_taken),
		cmocka_unit_test(a_response_must_say_good_and_hold_now),
		cmocka_unit_test(a_response_about_another_or_cut_or_unverifiable_is_not_taken),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	config_faults_cleanup(&faults);
	return failed;
}
