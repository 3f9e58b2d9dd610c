/* The audit: each finding where it belongs and nowhere else, and the records. */
#include "frontend/audit.h"
#include "frontend/audit_chain.h"
#include "frontend/audit_findings.h"
#include "frontend/gate.h"
#include "frontend/profile.h"
#include "tests/support/book_made.h"
#include "tests/support/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW  2000000000ll
#define DAY  86400ll
#define NAME "mail.example.test"

/* RSA of 1024 bits, signed with SHA-1. */
static const char old_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBZzCCAQ4CAQIwCQYHKoZIzj0EATAPMQ0wCwYDVQQDDARSb290MCAXDTI2MTEy\n"
	"MjA1MzUyNloYDzIxMjYxMDI5MDUzNTI2WjApMRkwFwYDVQQDDBBPbGQgSW50ZXJt\n"
	"ZWRpYXRlMQwwCgYDVQQKDANhLGIwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGB\n"
	"AJ99NdMIdKHrvqH6++Rr22+HgkEdUbMudh0w2c4LYdIhJ4mIzFZVsQbJWEi28914\n"
	"hILQcAUcE8v03jRSu32t+SRqyUGHIsCQUpiRKSpNexoiX4/vc8XUixXgQ3lPE+4r\n"
	"I8CQexkLACrlVdv8JKdOKzm8Fed7nTDwoFYdR2MJzPotAgMBAAEwCQYHKoZIzj0E\n"
	"AQNIADBFAiEAnN6HVbqb4KTRub87ovgCsDm6T/0jbJ8DP4GXMgVEMoUCICt110uc\n"
	"h/YBd9VRdjEoV3XjMckgxR2B/TWx6IBQxqNN\n"
	"-----END CERTIFICATE-----\n";

static struct pem_pair authority, leaf;
static const uint8_t spki[BOOK_ID_LEN] = { 0xab, [BOOK_ID_LEN - 1] = 0x01 };

/* One scene: what an operator would not have to mend, until a test changes it. */
struct scene {
	struct config config;
	struct config_listener listeners[6];
	struct config_pool pools[1];
	struct book_entry entries[3];
	size_t count;
	char *text;
	struct audit_result result;
};

static struct config_listener listener_of(int protocol, int tls, int port)
{
	return (struct config_listener) { .protocol = protocol,
					  .tls = tls,
					  .address = "192.0.2.1",
					  .port = port,
					  .profile = PROFILE_MODERN,
					  .unknown_sni = UNKNOWN_SNI_REFUSE };
}

static struct book_entry entry_of(void)
{
	static const char names[] = NAME "\0imap.example.test";

	return (struct book_entry) {
		.kind = BOOK_P256,
		.bits = 256,
		.not_before = NOW - DAY,
		.not_after = NOW + 60 * DAY,
		.spki = spki,
		.chain = span_of(leaf.chain),
		.names = { names, sizeof(names) },
		.file = "postern.conf",
		.path = "/etc/chain.pem",
	};
}

static struct scene scene_of(void)
{
	struct scene scene = { .config.hostname = NAME, .count = 1 };

	for (int i = 0; i < PROTOCOLS; i++) {
		static const int ports[PROTOCOLS][2] = { { 587, 465 }, { 143, 993 }, { 110, 995 } };

		scene.listeners[2 * i] = listener_of(i, LISTENER_STARTTLS, ports[i][0]);
		scene.listeners[2 * i + 1] = listener_of(i, LISTENER_IMPLICIT, ports[i][1]);
	}
	scene.pools[0] = (struct config_pool) { .name = "old", .tls = BACKEND_TLS_IMPLICIT };
	scene.entries[0] = entry_of();
	scene.config.listeners.count = 6;
	scene.config.pools.count = 1;
	return scene;
}

static void run(struct scene *scene)
{
	struct book *book = book_made_of(scene->entries, scene->count);
	size_t len;
	FILE *out;

	scene->config.listeners.items = scene->listeners;
	scene->config.pools.items = scene->pools;
	out = open_memstream(&scene->text, &len);
	assert_non_null(out);
	scene->result = audit(&scene->config, book, NOW, out);
	fclose(out);
	book_drop(book);
}

static bool says(const struct scene *scene, const char *words)
{
	return strstr(scene->text, words) != NULL;
}

/* Runs it, and wants this finding, or note, and nothing else. */
static void must_find(struct scene *scene, enum audit_finding finding, unsigned times)
{
	const struct audit_row *row = audit_row(finding);
	bool counts = row->level == AUDIT_FINDING;

	run(scene);
	assert_int_equal(scene->result.findings, counts ? times : 0);
	assert_int_equal(scene->result.notes, counts ? 0 : times);
	assert_true(times == 0 || (says(scene, row->text) && says(scene, row->clause)));
	free(scene->text);
}

static void what_is_right_has_no_finding_and_is_told_whole(void **state)
{
	static const char *const words[] = {
		"[imap 192.0.2.1:993 implicit]",
		"modern (RFC 9325)",
		"TLSv1.3 TLSv1.2",
		"[submission 192.0.2.1:465 implicit]\n  profile      modern (RFC 9325), as above\n",
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"X25519 P-256",
		"certificates 1, " NAME " without a name",
		"names        " NAME " imap.example.test",
		"ECDSA P-256",
		"ALPN         imap, or none",
		"tickets      off",
		"to 2033-07-17 03:33 UTC",
		"CN=" NAME "\n               by CN=Throw-away CA, until 20",
		"stapling     none\n",
		"FINDINGS: 0, and 0 notes",
	};
	struct scene scene = scene_of();

	run(&scene);
	assert_int_equal(scene.result.findings, 0);
	assert_int_equal(scene.result.notes, 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!says(&scene, words[i]))
			fail_msg("not there: %s\n%s", words[i], scene.text);
	free(scene.text);
}

static void starttls_needs_its_twin(void **state)
{
	struct scene scene = scene_of();

	scene.listeners[3] = scene.listeners[1]; /* no imap on 993 */
	must_find(&scene, AUDIT_NO_IMPLICIT_TWIN, 1);
	scene = scene_of();
	scene.listeners[3].address = "0.0.0.0";
	must_find(&scene, AUDIT_NO_IMPLICIT_TWIN, 0);
	scene.listeners[3].address = "::";
	must_find(&scene, AUDIT_NO_IMPLICIT_TWIN, 1);
	scene.listeners[3].address = "192.0.2.2";
	must_find(&scene, AUDIT_NO_IMPLICIT_TWIN, 1);
}

static void old_versions_and_suites_are_found(void **state)
{
	struct scene scene = scene_of();

	scene.listeners[0].profile = PROFILE_TES;
	run(&scene);
	assert_int_equal(scene.result.findings, 2);
	assert_true(says(&scene, audit_row(AUDIT_OLD_VERSION)->text));
	assert_true(says(&scene, audit_row(AUDIT_WEAK_SUITES)->text));
	assert_true(says(&scene, "TLSv1.3 TLSv1.2 TLSv1.1"));
	free(scene.text);
}

static void alpn_and_tickets_are_judged(void **state)
{
	struct scene scene = scene_of();

	scene.listeners[3].alpn = GATE_ALPN_COMPAT;
	must_find(&scene, AUDIT_ALPN_COMPAT, 1);
	scene = scene_of();
	scene.config.tls.tickets.enabled = true;
	scene.config.tls.tickets.rotate = 7 * DAY;
	must_find(&scene, AUDIT_TICKETS_OLD, 0);
	scene.config.tls.tickets.rotate = 7 * DAY + 1;
	must_find(&scene, AUDIT_TICKETS_OLD, 1);
	scene.config.tls.tickets.file = "/etc/tickets";
	must_find(&scene, AUDIT_TICKETS_OLD, 0);
	scene.config.tls.tickets.file = NULL;
	scene.config.tls.tickets.enabled = false;
	must_find(&scene, AUDIT_TICKETS_OLD, 0);
}

static void each_listener_says_whether_clients_are_asked_for_a_certificate(void **state)
{
	static const char *const words[] = {
		"[imap 192.0.2.1:143 starttls]\n  profile      modern (RFC 9325), as above\n"
		"  unknown name refused\n  ALPN         imap, or none\n"
		"  tickets      a new key every 60 s\n  clients      asked for no certificate\n",
		"  tickets      off\n  clients      asked for a certificate, optional; without "
		"revocation lists; users by the address in it\n  certificates 1",
		"  tickets      off\n  clients      asked for a certificate, required; with "
		"revocation lists; users by a file\n  certificates 1",
	};
	struct scene scene = scene_of();

	scene.config.tls.tickets.enabled = true;
	scene.config.tls.tickets.rotate = 60;
	scene.listeners[3].client_certificates.mode = CLIENT_CERTIFICATES_OPTIONAL;
	scene.listeners[5].client_certificates = (struct config_client_certificates) {
		.mode = CLIENT_CERTIFICATES_REQUIRED,
		.crl_pem = { (const uint8_t *)"crl", 3 },
		.users_text = { (const uint8_t *)"users", 5 },
	};
	run(&scene);
	assert_int_equal(scene.result.findings, 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!says(&scene, words[i]))
			fail_msg("not there: %s\n%s", words[i], scene.text);
	free(scene.text);
}

static void an_unknown_name_is_a_note_unless_the_profile_refuses_it(void **state)
{
	struct scene scene = scene_of();

	scene.listeners[1].unknown_sni = UNKNOWN_SNI_DEFAULT;
	must_find(&scene, AUDIT_UNKNOWN_SNI, 1);
	scene = scene_of();
	scene.listeners[1].unknown_sni = UNKNOWN_SNI_DEFAULT;
	scene.listeners[1].profile = PROFILE_STRICT;
	must_find(&scene, AUDIT_UNKNOWN_SNI, 0);
}

static void the_host_name_must_be_in_a_certificate(void **state)
{
	struct scene scene = scene_of();

	scene.config.hostname = "MAIL.example.test";
	must_find(&scene, AUDIT_HOSTNAME_MISSING, 0);
	scene = scene_of();
	scene.config.hostname = "smtp.example.test";
	must_find(&scene, AUDIT_HOSTNAME_MISSING, 6);
}

static void a_set_without_a_certificate_is_found(void **state)
{
	struct scene scene = scene_of();

	scene.listeners[5].set = 6;
	must_find(&scene, AUDIT_NO_CERTIFICATE, 1);
	scene = scene_of();
	scene.entries[1] = (struct book_entry) { .flags = BOOK_BAD, .path = "/etc/bad.pem" };
	scene.count = 2;
	must_find(&scene, AUDIT_UNUSABLE, 1);
}

static void validity_is_judged_at_its_edges(void **state)
{
	static const struct {
		int64_t seconds;
		enum audit_finding finding;
		unsigned times;
	} cases[] = {
		{ 0, AUDIT_EXPIRED, 1 },
		{ 1, AUDIT_EXPIRES_SOON, 1 },
		{ 21 * DAY, AUDIT_EXPIRES_SOON, 1 },
		{ 21 * DAY + 1, AUDIT_EXPIRES_SOON, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene = scene_of();

		scene.entries[0].not_after = NOW + cases[i].seconds;
		must_find(&scene, cases[i].finding, cases[i].times);
	}
}

static void the_rest_of_the_chain_is_judged(void **state)
{
	struct scene scene = scene_of();
	char *chain;

	assert_true(asprintf(&chain, "%s%s", leaf.chain, authority.chain) > 0);
	scene.entries[0].chain = span_of(chain); /* it ended a few years before NOW */
	must_find(&scene, AUDIT_CHAIN_EXPIRES, 1);
	free(chain);
	scene = scene_of();
	assert_true(asprintf(&chain, "%s%s", leaf.chain, old_certificate) > 0);
	scene.entries[0].chain = span_of(chain);
	run(&scene);
	assert_int_equal(scene.result.findings, 2);
	assert_true(says(&scene, audit_row(AUDIT_KEY_SMALL)->text));
	assert_true(says(&scene, audit_row(AUDIT_OLD_HASH)->text));
	free(scene.text);
	free(chain);
}

static void names_are_judged(void **state)
{
	static const char wild[] = NAME "\0*.example.test";
	struct scene scene = scene_of();

	scene.entries[0].names = (struct span) { wild, sizeof(wild) };
	must_find(&scene, AUDIT_WILDCARD, 1);
	scene = scene_of();
	scene.entries[0].chain = span_of(authority.chain);
	run(&scene);
	assert_int_equal(scene.result.findings, 2);
	assert_true(says(&scene, audit_row(AUDIT_NO_ALT_NAME)->text));
	assert_true(says(&scene, audit_row(AUDIT_SELF_SIGNED)->text));
	free(scene.text);
}

static void staples_are_judged(void **state)
{
	struct scene scene = scene_of();

	scene.entries[0].ocsp = "http://ocsp.example.test/";
	must_find(&scene, AUDIT_NO_STAPLE, 1);
	scene = scene_of();
	scene.entries[0].ocsp = "http://ocsp.example.test/";
	scene.entries[0].staple = span_of("response");
	scene.entries[0].next_update = NOW + 1;
	must_find(&scene, AUDIT_NO_STAPLE, 0);
	scene.entries[0].next_update = NOW;
	must_find(&scene, AUDIT_STAPLE_STALE, 1);
	scene = scene_of();
	scene.entries[0].flags = BOOK_MUST_STAPLE;
	must_find(&scene, AUDIT_MUST_STAPLE, 1);
	scene.entries[0].staple = span_of("response");
	scene.entries[0].next_update = NOW + 1;
	must_find(&scene, AUDIT_MUST_STAPLE, 0);
	scene.entries[0].next_update = NOW;
	run(&scene);
	assert_int_equal(scene.result.findings, 2);
	free(scene.text);
}

/* What the monitor will ask for cannot be missed here; what it cannot ask for is. */
static void a_response_that_will_be_fetched_is_not_missed(void **state)
{
	struct scene scene = scene_of();

	scene.config.tls.ocsp = OCSP_FETCH;
	scene.entries[0].flags = BOOK_MUST_STAPLE;
	scene.entries[0].ocsp = "http://ocsp.example.test/";
	must_find(&scene, AUDIT_MUST_STAPLE, 1);
	scene.entries[0].issuer = span_of(authority.chain);
	run(&scene);
	assert_int_equal(scene.result.findings + scene.result.notes, 0);
	assert_true(says(&scene, "stapling     fetched while it runs, responder "
				 "http://ocsp.example.test/, must-staple\n"));
	free(scene.text);
	scene.entries[0].flags = 0;
	must_find(&scene, AUDIT_NO_STAPLE, 0);
	scene.config.tls.ocsp = OCSP_FILE;
	must_find(&scene, AUDIT_NO_STAPLE, 1);
}

static void servers_behind_are_judged(void **state)
{
	struct scene scene = scene_of();

	scene.pools[0].verify = VERIFY_NONE;
	must_find(&scene, AUDIT_NOT_VERIFIED, 1);
	scene = scene_of();
	scene.pools[0].profile = PROFILE_LEGACY;
	must_find(&scene, AUDIT_POOL_OLD_VERSION, 1);
	scene.pools[0].verify = VERIFY_NONE;
	scene.pools[0].tls = BACKEND_TLS_NONE;
	must_find(&scene, AUDIT_NOT_VERIFIED, 0);
	scene.pools[0].plaintext_ok = true;
	must_find(&scene, AUDIT_CLEAR_TEXT, 1);
}

static void records_are_ready_to_paste(void **state)
{
	static const char *const words[] = {
		"\n_465._tcp." NAME ". IN TLSA 3 1 1 ab000000000000000000000000000000"
		"00000000000000000000000000000001\n",
		"\n_143._tcp.imap.example.test. IN TLSA 3 1 1 ab",
		"\n_submissions._tcp IN SRV 0 1 465 " NAME ".\n",
		"\n_submission._tcp IN SRV 10 1 587 " NAME ".\n",
		"\n_imaps._tcp IN SRV 0 1 993 " NAME ".\n",
		"\n_pop3._tcp IN SRV 0 0 0 .\n",
	};
	static const char wild[] = NAME "\0imap.example.test\0*.example.test";
	struct scene scene = scene_of();
	const char *at;
	unsigned records = 0;

	scene.entries[0].names = (struct span) { wild, sizeof(wild) };
	scene.listeners[4] = scene.listeners[3]; /* no pop3 on 110, and 993 twice */
	run(&scene);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!says(&scene, words[i]))
			fail_msg("not there: %s\n%s", words[i], scene.text);
	for (at = scene.text; (at = strstr(at, " IN TLSA ")) != NULL; at++)
		records++;
	assert_int_equal(records, 2 * 5); /* names without the wildcard, ports each once */
	free(scene.text);
}

static void a_chain_is_read_and_nothing_in_a_name_breaks_a_line(void **state)
{
	struct pem_pair odd = pem_issue(&authority, "P-256", "a\nb\x7f FINDING");
	struct audit_link links[2];

	assert_int_equal(audit_chain(span_of(odd.chain), links, 2), 1);
	assert_null(strchr(links[0].subject, '\n'));
	assert_non_null(strstr(links[0].subject, "a\\0Ab\\7F FINDING"));
	assert_true(links[0].alt_names && !links[0].rsa && !links[0].old_hash);
	assert_int_equal(audit_chain(span_of(old_certificate), links, 2), 1);
	assert_true(links[0].rsa && links[0].old_hash && !links[0].alt_names);
	assert_int_equal(links[0].bits, 1024);
	assert_int_equal(audit_chain(span_of("no certificate"), links, 2), 0);
	assert_int_equal(audit_chain(span_of(old_certificate), links, 0), 0);
	pem_free(&odd);
}

static int begin(void **state)
{
	authority = pem_authority("P-256");
	leaf = pem_issue(&authority, "P-256", NAME);
	return 0;
}

static int end(void **state)
{
	pem_free(&authority);
	pem_free(&leaf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_has_no_finding_and_is_told_whole),
		cmocka_unit_test(starttls_needs_its_twin),
		cmocka_unit_test(old_versions_and_suites_are_found),
		cmocka_unit_test(alpn_and_tickets_are_judged),
		cmocka_unit_test(each_listener_says_whether_clients_are_asked_for_a_certificate),
		cmocka_unit_test(an_unknown_name_is_a_note_unless_the_profile_refuses_it),
		cmocka_unit_test(the_host_name_must_be_in_a_certificate),
		cmocka_unit_test(a_set_without_a_certificate_is_found),
		cmocka_unit_test(validity_is_judged_at_its_edges),
		cmocka_unit_test(the_rest_of_the_chain_is_judged),
		cmocka_unit_test(names_are_judged),
		cmocka_unit_test(staples_are_judged),
		cmocka_unit_test(a_response_that_will_be_fetched_is_not_missed),
		cmocka_unit_test(servers_behind_are_judged),
		cmocka_unit_test(records_are_ready_to_paste),
		cmocka_unit_test(a_chain_is_read_and_nothing_in_a_name_breaks_a_line),
	};

	return cmocka_run_group_tests_name("audit", tests, begin, end);
}
