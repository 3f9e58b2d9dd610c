/* test_gate - what becomes of each kind of client, by hellos that are made here and a small book. */
#include "frontend/gate.h"
#include "tests/support/book_made.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIST(...) ((const uint16_t[]) { __VA_ARGS__, 0 })
#define NONE      ((const uint16_t[]) { 0 })

/* ---- clients ---- */

struct client {
	uint16_t legacy;          /* 0: 0x0303 */
	const uint16_t *versions; /* these lists end with 0; NULL: the extension is not sent */
	const uint16_t *suites, *groups, *sigalgs, *sigalgs_cert;
	const char *sni;  /* NULL: not sent */
	const char *alpn; /* names separated by commas; NULL: not sent */
	bool no_shares;   /* no key_share; else an empty one */
	bool truncated_hmac;
};

struct bytes {
	uint8_t data[2048];
	size_t len;
};

static void put8(struct bytes *out, unsigned value)
{
	out->data[out->len++] = (uint8_t)value;
}

static void put16(struct bytes *out, unsigned value)
{
	put8(out, value >> 8);
	put8(out, value & 0xff);
}

static void put_text(struct bytes *out, const char *text, size_t len)
{
	memcpy(out->data + out->len, text, len);
	out->len += len;
}

/* Writes the length of all behind `at`, where two octets were left for it. */
static void close16(struct bytes *out, size_t at)
{
	size_t len = out->len - at - 2;

	out->data[at] = (uint8_t)(len >> 8);
	out->data[at + 1] = (uint8_t)len;
}

static size_t open16(struct bytes *out)
{
	put16(out, 0);
	return out->len - 2;
}

static size_t count_of(const uint16_t *list)
{
	size_t count = 0;

	while (list[count] != 0)
		count++;
	return count;
}

static void put_values(struct bytes *out, const uint16_t *list)
{
	for (; *list != 0; list++)
		put16(out, *list);
}

static void put_list(struct bytes *out, unsigned extension, const uint16_t *list)
{
	size_t at;

	if (list == NULL)
		return;
	put16(out, extension);
	at = open16(out);
	if (extension == 43)
		put8(out, (unsigned)count_of(list) * 2);
	else
		put16(out, (unsigned)count_of(list) * 2);
	put_values(out, list);
	close16(out, at);
}

static void put_sni(struct bytes *out, const char *name)
{
	size_t body, list;

	if (name == NULL)
		return;
	put16(out, 0);
	body = open16(out);
	list = open16(out);
	put8(out, 0);
	put16(out, (unsigned)strlen(name));
	put_text(out, name, strlen(name));
	close16(out, list);
	close16(out, body);
}

static void put_alpn(struct bytes *out, const char *names)
{
	size_t body, list;

	if (names == NULL)
		return;
	put16(out, 16);
	body = open16(out);
	list = open16(out);
	while (*names != '\0') {
		size_t len = strcspn(names, ",");

		put8(out, (unsigned)len);
		put_text(out, names, len);
		names += len + (names[len] == ',');
	}
	close16(out, list);
	close16(out, body);
}

static void hello_of(const struct client *client, struct bytes *out)
{
	size_t record, message, extensions;

	out->len = 0;
	put8(out, 22);
	put16(out, 0x0301);
	record = open16(out);
	put8(out, 1);
	put8(out, 0);
	message = open16(out);
	put16(out, client->legacy ? client->legacy : 0x0303);
	for (int i = 0; i < 32; i++)
		put8(out, 7);
	put8(out, 0);
	put16(out, (unsigned)count_of(client->suites) * 2);
	put_values(out, client->suites);
	put16(out, 0x0100);
	extensions = open16(out);
	put_sni(out, client->sni);
	put_list(out, 43, client->versions);
	put_list(out, 10, client->groups);
	put_list(out, 13, client->sigalgs);
	put_list(out, 50, client->sigalgs_cert);
	put_alpn(out, client->alpn);
	if (!client->no_shares)
		put_list(out, 51, NONE);
	if (client->truncated_hmac) {
		put16(out, 4);
		put16(out, 0);
	}
	close16(out, extensions);
	close16(out, message);
	close16(out, record);
}

/* ---- the book ---- */

/* SEQUENCE { SEQUENCE {}, SEQUENCE { OID } }: as much of a certificate as the gate looks at. */
#define LEAF_ECDSA_SHA384 "\x30\x0e\x30\x00\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
#define LEAF_RSA_SHA256   "\x30\x0f\x30\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"

enum {
	DUAL_RSA,
	DUAL_P256,
	ONLY_RSA,
	ONLY_P256,
	ONLY_P384,
	ONLY_ED25519,
	SMALL_RSA,
	BAD,
	WILD,
	FOUR_RSA,
	FOUR_P384,
	FOUR_ED25519,
	FOUR_P256,
	TOKEN_P256,
	TOKEN_AND_RSA,
	RSA_AND_TOKEN,
	OTHER_SET,
	ENTRIES
};

static const struct {
	const char *name;
	enum book_kind kind;
	uint32_t bits, set, flags;
	struct span leaf;
} entries[ENTRIES] = {
	[DUAL_RSA] = { "dual.test", BOOK_RSA, 2048, 0, 0, SPAN(LEAF_RSA_SHA256) },
	[DUAL_P256] = { "dual.test", BOOK_P256, 256, 0, 0, SPAN(LEAF_ECDSA_SHA384) },
	[ONLY_RSA] = { "rsa.test", BOOK_RSA, 3072, 0, 0, SPAN(LEAF_RSA_SHA256) },
	[ONLY_P256] = { "p256.test", BOOK_P256, 256, 0, 0, SPAN("") },
	[ONLY_P384] = { "p384.test", BOOK_P384, 384, 0, 0, SPAN("") },
	[ONLY_ED25519] = { "ed.test", BOOK_ED25519, 256, 0, 0, SPAN("") },
	[SMALL_RSA] = { "small.test", BOOK_RSA, 1024, 0, 0, SPAN("") },
	[BAD] = { "bad.test", BOOK_P256, 256, 0, BOOK_BAD, SPAN("") },
	[WILD] = { "*.wild.test", BOOK_P256, 256, 0, 0, SPAN("") },
	[FOUR_RSA] = { "four.test", BOOK_RSA, 3072, 0, 0, SPAN("") },
	[FOUR_P384] = { "four.test", BOOK_P384, 384, 0, 0, SPAN("") },
	[FOUR_ED25519] = { "four.test", BOOK_ED25519, 256, 0, 0, SPAN("") },
	[FOUR_P256] = { "four.test", BOOK_P256, 256, 0, 0, SPAN("") },
	[TOKEN_P256] = { "token.test", BOOK_P256, 256, 0, BOOK_TOKEN, SPAN("") },
	[TOKEN_AND_RSA] = { "both.test", BOOK_P256, 256, 0, BOOK_TOKEN, SPAN("") },
	[RSA_AND_TOKEN] = { "both.test", BOOK_RSA, 2048, 0, 0, SPAN("") },
	[OTHER_SET] = { "other.test", BOOK_P256, 256, 5, 0, SPAN("") },
};

static struct book *book;

static int make_book(void **state)
{
	struct book_writer *writer = book_writer_new();

	for (size_t i = 0; i < ENTRIES; i++) {
		uint8_t id[BOOK_ID_LEN] = { (uint8_t)(i + 1) };
		struct book_entry entry = {
			.set = entries[i].set,
			.kind = entries[i].kind,
			.bits = entries[i].bits,
			.flags = entries[i].flags,
			.spki = id,
			.leaf = entries[i].leaf,
			.chain = SPAN("chain"),
			.names = { entries[i].name, strlen(entries[i].name) + 1 },
			.file = "postern.conf",
			.path = "chain.pem",
		};

		assert_true(book_writer_add(writer, &entry, i == DUAL_RSA));
	}
	book = book_made(writer);
	return 0;
}

static int drop_book(void **state)
{
	book_drop(book);
	return 0;
}

/* ---- deciding ---- */

#define V13       LIST(0x0304)
#define S13       0x1301, 0x1302, 0x1303
#define S12       0xc02b, 0xc02f, 0xc02c, 0xc030
#define SIG_ECDSA 0x0403, 0x0503
#define SIG_RSA   0x0804, 0x0401

/* A client of today; cases change what they are about. */
static struct client today(void)
{
	static const uint16_t client_versions[] = { 0x0304, 0x0303, 0 };
	static const uint16_t client_suites[] = { 0x0a0a, S13, S12, 0 };
	static const uint16_t client_groups[] = { 0x0a0a, 29, 23, 24, 0 };
	static const uint16_t client_sigalgs[] = { SIG_ECDSA, SIG_RSA, 0 };

	return (struct client) { .versions = client_versions,
				 .suites = client_suites,
				 .groups = client_groups,
				 .sigalgs = client_sigalgs,
				 .sni = "dual.test" };
}

static struct gate_rules rules_of(int profile)
{
	return (struct gate_rules) { .profile = profile_find(profile), .alpn_id = "imap" };
}

static bool decide(const struct gate_rules *rules, const struct client *client,
		   struct gate_verdict *out)
{
	static struct tls_hello hello;
	struct bytes bytes;

	hello_of(client, &bytes);
	assert_int_equal(tls_hello_parse(bytes.data, bytes.len, &hello), TLS_HELLO_DONE);
	return gate_decide(rules, book, &hello, out);
}

static void assert_refused(const struct gate_rules *rules, const struct client *client,
			   enum tls_alert alert, const char *reason)
{
	struct gate_verdict verdict;

	assert_false(decide(rules, client, &verdict));
	assert_string_equal(verdict.reason, reason);
	assert_int_equal(verdict.alert, alert);
}

static struct gate_verdict assert_accepted(const struct gate_rules *rules,
					   const struct client *client)
{
	struct gate_verdict verdict;

	if (!decide(rules, client, &verdict))
		fail_msg("refused: %s", verdict.reason);
	return verdict;
}

static void a_client_of_today(void **state)
{
	for (int id = 0; profile_find(id)->listener; id++) {
		struct gate_rules rules = rules_of(id);
		struct client client = today();
		struct gate_verdict verdict = assert_accepted(&rules, &client);

		assert_int_equal(verdict.version, 0x0304);
		assert_int_equal(verdict.entry, DUAL_P256);
		assert_null(verdict.alpn);
		assert_false(verdict.alpn_ignored);
	}
}

/* RFC 8996, RFC 9325 3.1: for each profile the lowest version that is spoken, and the one below it. */
static void versions(void **state)
{
	for (int id = 0; profile_find(id)->listener; id++) {
		struct gate_rules rules = rules_of(id);

		for (uint16_t version = 0x0300; version <= 0x0304; version++) {
			struct client client = today();

			client.versions = version == 0x0304 ? V13 : NULL;
			client.legacy = version == 0x0304 ? 0x0303 : version;
			client.suites = LIST(S13, S12, 0xc009, 0xc013);
			if (version >= rules.profile->min)
				assert_int_equal(assert_accepted(&rules, &client).version, version);
			else
				assert_refused(&rules, &client, TLS_ALERT_PROTOCOL_VERSION,
					       "tls_version");
		}
	}
}

/* RFC 7507: only a client that could have done better is told so. */
static void a_client_that_fell_back(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_MODERN);
	struct client client = today();

	client.suites = LIST(S13, S12, 0x5600);
	assert_accepted(&rules, &client);
	client.versions = NULL;
	assert_refused(&rules, &client, TLS_ALERT_INAPPROPRIATE_FALLBACK, "tls_version");
}

static void suites(void **state)
{
	/* SSL_RSA_WITH_RC4, 3DES, NULL, EXPORT, anonymous, static RSA, DHE, CBC */
	static const uint16_t never[] = { 0x0005, 0x000a, 0xc012, 0x0002, 0x0003, 0xc018,
					  0x009c, 0x002f, 0x009e, 0x0033, 0xc011, 0x00ff };
	static const uint16_t cbc[] = { 0xc009, 0xc013, 0xc023, 0xc027 };
	struct gate_rules rules;
	struct client client = today();

	client.versions = NULL;
	for (int id = 0; profile_find(id)->listener; id++) {
		rules = rules_of(id);
		if (rules.profile->min > 0x0303)
			continue;
		for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
			client.suites = LIST(never[i]);
			assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE,
				       "no_common_cipher");
		}
		for (size_t i = 0; i < sizeof(cbc) / sizeof(cbc[0]); i++) {
			client.suites = LIST(cbc[i]);
			if (id == PROFILE_TES)
				assert_accepted(&rules, &client);
			else
				assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE,
					       "no_common_cipher");
		}
	}
}

/* A suite of the wrong version is none. */
static void no_mac_is_truncated(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_TES);
	struct client client = today();

	client.versions = LIST(0x0303);
	client.sni = "p256.test";
	client.suites = LIST(0xc009, 0xc023);
	assert_accepted(&rules, &client);
	client.truncated_hmac = true;
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_cipher");
	client.suites = LIST(0xc009, 0xc02f);
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_certificate");
	client.suites = LIST(0xc009, 0xc02b);
	assert_accepted(&rules, &client);
}

static void suites_belong_to_versions(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_TES);
	struct client client = today();

	client.suites = LIST(S12);
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_cipher");
	client.versions = NULL;
	client.suites = LIST(S13);
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_cipher");
	client.legacy = 0x0302;
	client.suites = LIST(S12);
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_cipher");
}

static void groups(void **state)
{
	static const uint16_t all[] = { 29, 23, 24, 25, 30, 256, 19 };

	for (int id = 0; profile_find(id)->listener; id++) {
		struct gate_rules rules = rules_of(id);

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			struct client client = today();

			client.groups = LIST(all[i]);
			if (profile_group(rules.profile, all[i]) != NULL)
				assert_accepted(&rules, &client);
			else
				assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE,
					       "no_common_group");
		}
	}
}

/* RFC 8446 9.2 against RFC 8422 4 and RFC 5246 7.4.1.4.1. */
static void absent_extensions(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_TES);
	struct client client = today();

	client.groups = NULL;
	assert_refused(&rules, &client, TLS_ALERT_MISSING_EXTENSION, "no_common_group");
	client.versions = NULL;
	assert_int_equal(assert_accepted(&rules, &client).entry, DUAL_P256);

	client = today();
	client.no_shares = true;
	assert_refused(&rules, &client, TLS_ALERT_MISSING_EXTENSION, "no_common_group");
	client.versions = NULL;
	assert_accepted(&rules, &client);

	client = today();
	client.sigalgs = NULL;
	assert_refused(&rules, &client, TLS_ALERT_MISSING_EXTENSION, "no_common_signature");
	client.versions = NULL;
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_signature");
	client.legacy = 0x0302;
	client.suites = LIST(0xc013);
	assert_int_equal(assert_accepted(&rules, &client).entry, DUAL_RSA);
}

static void signatures(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_MODERN);
	struct client client = today();

	client.sigalgs = LIST(0x0203, 0x0201); /* SHA-1 */
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_signature");
	client.sigalgs = LIST(0x0401); /* PKCS #1 does not sign in TLS 1.3 */
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_signature");
	client.versions = NULL;
	assert_int_equal(assert_accepted(&rules, &client).entry, DUAL_RSA);
	client.sigalgs = LIST(0x0807); /* Ed25519 signs nowhere else */
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_signature");
}

/* ---- names ---- */

static uint32_t entry_for(const char *sni, struct gate_rules rules)
{
	struct client client = today();

	client.sni = sni;
	client.sigalgs = LIST(SIG_ECDSA, 0x0807, SIG_RSA);
	return assert_accepted(&rules, &client).entry;
}

static void names(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_MODERN);

	assert_int_equal(entry_for("rsa.test", rules), ONLY_RSA);
	assert_int_equal(entry_for("RSA.test", rules), ONLY_RSA);
	assert_int_equal(entry_for("ed.test", rules), ONLY_ED25519);
	assert_int_equal(entry_for("p384.test", rules), ONLY_P384);
	assert_int_equal(entry_for("a.wild.test", rules), WILD);
	assert_int_equal(entry_for("a.b.wild.test", rules), DUAL_P256);
	assert_int_equal(entry_for("unknown.test", rules), DUAL_P256);
	assert_int_equal(entry_for("other.test", rules), DUAL_P256);
	assert_int_equal(entry_for("bad.test", rules), DUAL_P256);
	assert_int_equal(entry_for("127.0.0.1", rules), DUAL_P256);
	assert_int_equal(entry_for(NULL, rules), DUAL_P256);
	rules.set = 5;
	assert_int_equal(entry_for("other.test", rules), OTHER_SET);
	assert_int_equal(entry_for("dual.test", rules), OTHER_SET);
}

/* By the rules of the listener, or by those of the profile. */
static void unknown_names(void **state)
{
	for (int id = 0; profile_find(id)->listener; id++) {
		static const char *const unknown[] = { "unknown.test", "a.b.wild.test", "bad.test",
						       "other.test",   "127.0.0.1",     "a b" };
		struct gate_rules rules = rules_of(id);

		rules.refuse_unknown = id != PROFILE_STRICT;
		assert_int_equal(entry_for(NULL, rules), DUAL_P256);
		assert_int_equal(entry_for("a.wild.test", rules), WILD);
		for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
			struct client client = today();

			client.sni = unknown[i];
			assert_refused(&rules, &client, TLS_ALERT_UNRECOGNIZED_NAME, "sni");
		}
	}
}

static void a_set_without_certificates(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_MODERN);
	struct client client = today();

	rules.set = 9;
	assert_refused(&rules, &client, TLS_ALERT_INTERNAL_ERROR, "no_certificate");
}

/* ---- application protocols ---- */

static void application_protocols(void **state)
{
	static const struct {
		const char *id;
		int mode;
		const char *offered;
		bool accepted;
		const char *chosen;
		bool ignored;
	} cases[] = {
		{ "imap", GATE_ALPN_STRICT, NULL, true, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "imap", true, "imap", false },
		{ "imap", GATE_ALPN_STRICT, "h2,imap", true, "imap", false },
		{ "imap", GATE_ALPN_STRICT, "pop3", false, NULL, false },
		{ "pop3", GATE_ALPN_STRICT, "imap", false, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "h2,http/1.1", false, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "ftp", false, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "IMAP", false, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "imap4", false, NULL, false },
		{ "imap", GATE_ALPN_STRICT, "\x0a\x0a", false, NULL, false },
		{ "pop3", GATE_ALPN_REQUIRE, NULL, false, NULL, false },
		{ "pop3", GATE_ALPN_REQUIRE, "pop3", true, "pop3", false },
		{ "pop3", GATE_ALPN_REQUIRE, "x", false, NULL, false },
		{ "imap", GATE_ALPN_COMPAT, NULL, true, NULL, false },
		{ "imap", GATE_ALPN_COMPAT, "imap", true, "imap", false },
		{ "imap", GATE_ALPN_COMPAT, "imap4", true, NULL, true },
		{ "imap", GATE_ALPN_COMPAT, "\x0a\x0a,x-mail", true, NULL, true },
		{ "imap", GATE_ALPN_COMPAT, "x-mail,http/1.1", false, NULL, false },
		{ "imap", GATE_ALPN_COMPAT, "h2", false, NULL, false },
		{ "imap", GATE_ALPN_COMPAT, "pop3", false, NULL, false },
		{ NULL, GATE_ALPN_STRICT, NULL, true, NULL, false },
		{ NULL, GATE_ALPN_STRICT, "smtp", false, NULL, false },
		{ NULL, GATE_ALPN_STRICT, "http/1.1", false, NULL, false },
		{ NULL, GATE_ALPN_COMPAT, "smtp", true, NULL, true },
		{ NULL, GATE_ALPN_COMPAT, "imap", false, NULL, false },
		{ NULL, GATE_ALPN_COMPAT, "http/1.1", false, NULL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gate_rules rules = rules_of(PROFILE_MODERN);
		struct client client = today();
		struct gate_verdict verdict;

		rules.alpn = cases[i].mode;
		rules.alpn_id = cases[i].id;
		client.alpn = cases[i].offered;
		if (!cases[i].accepted) {
			assert_refused(&rules, &client, TLS_ALERT_NO_APPLICATION_PROTOCOL, "alpn");
			continue;
		}
		verdict = assert_accepted(&rules, &client);
		assert_int_equal(verdict.alpn_ignored, cases[i].ignored);
		if (cases[i].chosen == NULL)
			assert_null(verdict.alpn);
		else
			assert_string_equal(verdict.alpn, cases[i].chosen);
	}
}

/* ---- certificates ---- */

static uint32_t entry_of(struct client client, int profile)
{
	struct gate_rules rules = rules_of(profile);

	return assert_accepted(&rules, &client).entry;
}

static void kinds_by_signature(void **state)
{
	struct client client = today();

	client.sni = "four.test";
	client.sigalgs = LIST(SIG_ECDSA, 0x0807, SIG_RSA);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_P256);
	client.sigalgs = LIST(0x0503, 0x0807, SIG_RSA);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_ED25519);
	assert_int_equal(entry_of(client, PROFILE_NIST), FOUR_P384);
	client.sigalgs = LIST(0x0503, SIG_RSA);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_P384);
	client.sigalgs = LIST(0x0603, SIG_RSA); /* in TLS 1.3 the curve belongs to it */
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_RSA);
}

static void kinds_in_tls12(void **state)
{
	struct client client = today();

	client.sni = "four.test";
	client.versions = NULL;
	client.sigalgs = LIST(0x0603, 0x0807, SIG_RSA); /* here it does not; and no Ed25519 */
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_P256);
	client.groups = LIST(29, 24);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_P384);
	client.groups = LIST(29);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_RSA);
	client.groups = LIST(29, 23);
	client.suites = LIST(0xc02f);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_RSA);
	client.suites = LIST(0xc02b);
	client.sigalgs = LIST(SIG_ECDSA);
	assert_int_equal(entry_of(client, PROFILE_MODERN), FOUR_P256);
}

static void keys_in_tokens_are_for_tls13(void **state)
{
	struct gate_rules rules = rules_of(PROFILE_MODERN);
	struct client client = today();

	client.sni = "both.test";
	assert_int_equal(entry_of(client, PROFILE_MODERN), TOKEN_AND_RSA);
	client.versions = NULL;
	assert_int_equal(entry_of(client, PROFILE_MODERN), RSA_AND_TOKEN);
	client.sni = "token.test";
	assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_certificate");
	client.versions = V13;
	assert_int_equal(entry_of(client, PROFILE_MODERN), TOKEN_P256);
}

static void kinds_in_tls11(void **state)
{
	struct client client = today();

	client.sni = "four.test";
	client.versions = client.sigalgs = NULL;
	client.legacy = 0x0302;
	client.suites = LIST(0xc009, 0xc013);
	assert_int_equal(entry_of(client, PROFILE_TES), FOUR_P256);
	client.suites = LIST(0xc013);
	assert_int_equal(entry_of(client, PROFILE_TES), FOUR_RSA);
	client.groups = LIST(24);
	client.suites = LIST(0xc009, 0xc013);
	assert_int_equal(entry_of(client, PROFILE_TES), FOUR_P384);
}

/* RFC 8446 4.4.2.2: what the client says of chains decides between certificates, but refuses none. */
static void kinds_by_chain(void **state)
{
	struct client client = today();

	client.sigalgs_cert = LIST(0x0401);
	assert_int_equal(entry_of(client, PROFILE_MODERN), DUAL_RSA);
	client.sigalgs_cert = LIST(0x0401, 0x0503);
	assert_int_equal(entry_of(client, PROFILE_MODERN), DUAL_P256);
	client.sigalgs_cert = LIST(0x0501);
	assert_int_equal(entry_of(client, PROFILE_MODERN), DUAL_P256);
	client.sigalgs_cert = NULL;
	client.sigalgs = LIST(0x0403, SIG_RSA);
	assert_int_equal(entry_of(client, PROFILE_MODERN), DUAL_RSA);
	client.sigalgs = LIST(0x0403, 0x0804);
	assert_int_equal(entry_of(client, PROFILE_MODERN), DUAL_P256);
}

static void none_that_the_client_can_verify(void **state)
{
	static const struct {
		const char *sni;
		uint16_t sigalg;
		int profile;
	} cases[] = {
		{ "rsa.test", 0x0403, PROFILE_MODERN },   { "p256.test", 0x0804, PROFILE_MODERN },
		{ "p256.test", 0x0503, PROFILE_MODERN },  { "p384.test", 0x0403, PROFILE_MODERN },
		{ "ed.test", 0x0403, PROFILE_MODERN },    { "ed.test", 0x0403, PROFILE_NIST },
		{ "small.test", 0x0804, PROFILE_MODERN }, { "dual.test", 0x0804, PROFILE_NCSC },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gate_rules rules = rules_of(cases[i].profile);
		struct client client = today();

		client.sni = cases[i].sni;
		client.sigalgs = LIST(cases[i].sigalg);
		assert_refused(&rules, &client, TLS_ALERT_HANDSHAKE_FAILURE,
			       "no_common_certificate");
	}
}

/* The book is ours, yet a leaf that is no DER is not followed. */
static void leaves_that_are_none(void **state)
{
	static const char *const leaves[] = { "",
					      "\x30",
					      "\x30\x82",
					      "\x30\x05\x30\x84\x01",
					      "\x30\x03\x30\x7f\x01",
					      "\x31\x01\x01" };

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		struct book_writer *writer = book_writer_new();
		struct gate_rules rules = rules_of(PROFILE_MODERN);
		uint8_t id[BOOK_ID_LEN] = { 1 };
		struct client client = today();
		struct book *whole = book;
		struct book_entry entry = { .kind = BOOK_P256,
					    .bits = 256,
					    .spki = id,
					    .leaf = span_of(leaves[i]),
					    .chain = SPAN("chain"),
					    .names = { "a.test", 7 },
					    .file = "f",
					    .path = "p" };

		assert_true(book_writer_add(writer, &entry, true));
		book = book_made(writer);
		assert_int_equal(assert_accepted(&rules, &client).entry, 0);
		book_drop(book);
		book = whole;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_of_today),
		cmocka_unit_test(versions),
		cmocka_unit_test(a_client_that_fell_back),
		cmocka_unit_test(suites),
		cmocka_unit_test(suites_belong_to_versions),
		cmocka_unit_test(no_mac_is_truncated),
		cmocka_unit_test(groups),
		cmocka_unit_test(absent_extensions),
		cmocka_unit_test(signatures),
		cmocka_unit_test(names),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(a_set_without_certificates),
		cmocka_unit_test(application_protocols),
		cmocka_unit_test(kinds_by_signature),
		cmocka_unit_test(kinds_in_tls12),
		cmocka_unit_test(keys_in_tokens_are_for_tls13),
		cmocka_unit_test(kinds_in_tls11),
		cmocka_unit_test(kinds_by_chain),
		cmocka_unit_test(none_that_the_client_can_verify),
		cmocka_unit_test(leaves_that_are_none),
	};

	return cmocka_run_group_tests(tests, make_book, drop_book);
}
