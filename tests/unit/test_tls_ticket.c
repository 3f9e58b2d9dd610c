/* test_tls_ticket - resumption over memory, with OpenSSL as the client: when a ticket is given, taken, and taken no more. */
#include "frontend/tls_ticket.h"
#include "protocols/tls_hello.h"
#include "tests/support/signer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAME     "mail.example.test"
#define LIFETIME 3600

static struct pem_pair authority, pem;
static SSL_CTX *client_ctx;
static uint8_t last_octet;

/* One client and one server, and the wire between them. */
struct pair {
	struct tls *server;
	SSL *client;
	struct buffer to_server, to_client;
	struct tls_facts facts;
	int version;
};

static void carry(struct pair *p)
{
	char data[4096];
	int len;

	while ((len = BIO_read(SSL_get_wbio(p->client), data, sizeof(data))) > 0)
		assert_true(buffer_append(&p->to_server, data, (size_t)len));
	len = (int)buffer_len(&p->to_client);
	if (len == 0)
		return;
	assert_int_equal(BIO_write(SSL_get_rbio(p->client), buffer_data(&p->to_client), len), len);
	buffer_consume(&p->to_client, (size_t)len);
}

static bool counting(void *out, size_t len)
{
	memset(out, ++last_octet, len);
	return true;
}

static void turn(struct ticket_keys *keys)
{
	assert_true(ticket_keys_turn(keys, keys->turn, LIFETIME, counting));
	tls_tickets_use(keys);
}

static struct tls_context *context_of(int profile, int lifetime)
{
	struct tls_context *context = signer_context(&pem, profile_find(profile));

	if (lifetime > 0)
		tls_context_tickets(context, lifetime);
	return context;
}

static void open_client(struct pair *p, int version, const char *sni, SSL_SESSION *session)
{
	*p = (struct pair) { .client = SSL_new(client_ctx), .version = version };
	assert_non_null(p->client);
	buffer_init(&p->to_server, 1 << 20);
	buffer_init(&p->to_client, 1 << 20);
	SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(p->client);
	SSL_set_max_proto_version(p->client, version);
	if (sni[0] != '\0')
		assert_int_equal(SSL_set_tlsext_host_name(p->client, sni), 1);
	if (session != NULL)
		assert_int_equal(SSL_set_session(p->client, session), 1);
}

/* As client_tls.c does: the hello is read first. */
static enum tls_ticket_offer open_server(struct pair *p, struct tls_context *context)
{
	static struct tls_hello hello;
	struct tls_accept accept = { .alpn = NULL };

	SSL_do_handshake(p->client);
	carry(p);
	assert_int_equal(tls_hello_parse((uint8_t *)buffer_data(&p->to_server),
					 buffer_len(&p->to_server), &hello),
			 TLS_HELLO_DONE);
	accept.sni = hello.sni;
	accept.tickets = (int)tls_ticket_offer(&hello, (uint16_t)p->version);
	p->server = tls_accept_new(context, &accept);
	assert_non_null(p->server);
	return (enum tls_ticket_offer)accept.tickets;
}

static void open_pair(struct pair *p, struct tls_context *context, int version, const char *sni,
		      SSL_SESSION *session)
{
	open_client(p, version, sni, session);
	assert_int_equal(open_server(p, context), TLS_TICKET_FIT);
}

static void close_pair(struct pair *p)
{
	tls_free(p->server);
	SSL_shutdown(p->client); /* else the session is not to be resumed */
	SSL_free(p->client);
	buffer_cleanup(&p->to_server);
	buffer_cleanup(&p->to_client);
}

/* Until both are done; then one octet from the server, behind which the client has taken the ticket in. */
static void shake(struct pair *p)
{
	enum tls_result server = TLS_AGAIN;
	int client = 0;
	char octet;

	for (int i = 0; i < 10 && (client != 1 || server != TLS_DONE); i++) {
		if (client != 1)
			client = SSL_do_handshake(p->client);
		carry(p);
		if (server != TLS_DONE)
			server = tls_handshake(p->server, &p->to_server, &p->to_client);
		carry(p);
		assert_int_not_equal(server, TLS_FAILED);
	}
	assert_int_equal(client, 1);
	assert_int_equal(server, TLS_DONE);
	tls_facts(p->server, &p->facts);
	assert_int_equal(SSL_session_reused(p->client), p->facts.resumed);
	assert_int_equal(tls_write(p->server, &p->to_server, &p->to_client, "x", 1), TLS_DONE);
	carry(p);
	assert_int_equal(SSL_read(p->client, &octet, 1), 1);
}

/* A session in full, and what the client would resume. */
static SSL_SESSION *begin_with(struct tls_context *context, int version, const char *sni)
{
	struct pair p;
	SSL_SESSION *session;

	open_pair(&p, context, version, sni, NULL);
	shake(&p);
	assert_false(p.facts.resumed);
	session = SSL_get1_session(p.client);
	assert_non_null(session);
	close_pair(&p);
	return session;
}

static struct tls_facts again(struct tls_context *context, int version, const char *sni,
			      SSL_SESSION *session)
{
	struct pair p;
	struct tls_facts facts;

	open_pair(&p, context, version, sni, session);
	shake(&p);
	facts = p.facts;
	close_pair(&p);
	return facts;
}

static void assert_refused(struct tls_facts facts, const char *why)
{
	assert_false(facts.resumed);
	assert_non_null(facts.ticket_refused);
	assert_string_equal(facts.ticket_refused, why);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void a_ticket_resumes_in_another_context_until_its_key_has_gone(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct ticket_keys keys = { .turn = 1000 };
		struct tls_context *one = context_of(PROFILE_MODERN, LIFETIME),
				   *other = context_of(PROFILE_MODERN, LIFETIME);
		SSL_SESSION *session;
		struct tls_facts facts;

		turn(&keys);
		session = begin_with(one, versions[i], NAME);
		facts = again(other, versions[i], NAME, session);
		assert_true(facts.resumed);
		assert_null(facts.ticket_refused);
		turn(&keys);
		assert_true(again(other, versions[i], NAME, session).resumed);
		turn(&keys);
		assert_refused(again(other, versions[i], NAME, session), "unknown_key");
		SSL_SESSION_free(session);
		tls_context_drop(one);
		tls_context_drop(other);
	}
}

/* RFC 9325 3.4: a master secret of TLS 1.2 does not live on from ticket to ticket. */
static void only_tls_1_3_gives_a_resumed_session_a_new_ticket(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct ticket_keys keys = { .turn = 1000 };
		struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);
		SSL_SESSION *session;
		struct tls_facts facts;

		turn(&keys);
		session = begin_with(context, versions[i], NAME);
		turn(&keys);
		facts = again(context, versions[i], NAME, session);
		assert_true(facts.resumed);
		assert_int_equal(facts.ticket_issued, versions[i] == TLS1_3_VERSION);
		SSL_SESSION_free(session);
		tls_context_drop(context);
	}
}

static void a_ticket_is_good_for_its_profile_and_name_only(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct ticket_keys keys = { .turn = 1000 };
		struct tls_context *modern = context_of(PROFILE_MODERN, LIFETIME),
				   *nist = context_of(PROFILE_NIST, LIFETIME);
		SSL_SESSION *session, *nameless;

		turn(&keys);
		session = begin_with(modern, versions[i], NAME);
		nameless = begin_with(modern, versions[i], "");
		assert_refused(again(nist, versions[i], NAME, session), "foreign");
		assert_refused(again(modern, versions[i], "other.example.test", session),
			       "foreign");
		assert_refused(again(modern, versions[i], "", session), "foreign");
		assert_true(again(modern, versions[i], NAME, session).resumed);
		assert_true(again(modern, versions[i], "", nameless).resumed);
		SSL_SESSION_free(session);
		SSL_SESSION_free(nameless);
		tls_context_drop(modern);
		tls_context_drop(nist);
	}
}

/* Without a name the certificate is all that the client has of the server. */
static void without_a_name_it_is_good_for_the_same_key_only(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct ticket_keys keys = { .turn = 1000 };
		struct pem_pair first = pem, second = pem_issue(&authority, "P-256", NAME);
		struct tls_context *one = context_of(PROFILE_MODERN, LIFETIME), *other;
		SSL_SESSION *session, *named;

		pem = second;
		other = context_of(PROFILE_MODERN, LIFETIME);
		pem = first;
		turn(&keys);
		session = begin_with(one, versions[i], "");
		named = begin_with(one, versions[i], NAME);
		assert_refused(again(other, versions[i], "", session), "foreign");
		assert_true(again(other, versions[i], NAME, named).resumed);
		SSL_SESSION_free(session);
		SSL_SESSION_free(named);
		tls_context_drop(one);
		tls_context_drop(other);
		pem_free(&second);
	}
}

static void a_ticket_of_one_version_is_none_of_the_other(void **state)
{
	struct ticket_keys keys = { .turn = 1000 };
	struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);
	SSL_SESSION *session;

	turn(&keys);
	session = begin_with(context, TLS1_2_VERSION, NAME);
	assert_false(again(context, TLS1_3_VERSION, NAME, session).resumed);
	SSL_SESSION_free(session);
	tls_context_drop(context);
}

static void a_suite_that_the_client_does_not_offer_any_more_is_not_resumed(void **state)
{
	struct ticket_keys keys = { .turn = 1000 };
	struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);
	SSL_SESSION *session;
	struct pair p;

	turn(&keys);
	session = begin_with(context, TLS1_3_VERSION, NAME);
	open_client(&p, TLS1_3_VERSION, NAME, session);
	assert_int_equal(SSL_set_ciphersuites(p.client, "TLS_CHACHA20_POLY1305_SHA256"), 1);
	open_server(&p, context);
	shake(&p);
	assert_refused(p.facts, "stale");
	close_pair(&p);
	SSL_SESSION_free(session);
	tls_context_drop(context);
}

static void nothing_is_given_or_taken_where_tickets_are_off(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct ticket_keys keys = { .turn = 1000 };
		struct tls_context *on = context_of(PROFILE_MODERN, LIFETIME),
				   *off = context_of(PROFILE_MODERN, 0);
		SSL_SESSION *session;
		struct tls_facts facts;

		turn(&keys);
		session = begin_with(on, versions[i], NAME);
		facts = again(off, versions[i], NAME, session);
		assert_false(facts.resumed || facts.ticket_issued);
		tls_tickets_use(NULL);
		facts = again(on, versions[i], NAME, session);
		assert_false(facts.resumed || facts.ticket_issued);
		SSL_SESSION_free(session);
		tls_context_drop(on);
		tls_context_drop(off);
	}
}

/* The library would end the handshake. Any other product's may be as long, and have served this name before. */
static void a_long_ticket_of_another_product_does_no_harm(void **state)
{
	struct ticket_keys keys = { .turn = 1000 };
	struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);
	uint8_t foreign[2000];

	turn(&keys);
	memset(foreign, 'x', sizeof(foreign));
	for (int len = 1; len <= (int)sizeof(foreign); len += len < 250 ? 1 : 250) {
		struct pair p;

		open_client(&p, TLS1_2_VERSION, NAME, NULL);
		assert_int_equal(SSL_set_session_ticket_ext(p.client, foreign, len), 1);
		open_server(&p, context);
		shake(&p);
		assert_false(p.facts.resumed);
		close_pair(&p);
	}
	tls_context_drop(context);
}

/* RFC 7627 5.3 */
static void without_extended_master_secret_there_are_no_tickets_of_tls_1_2(void **state)
{
	struct ticket_keys keys = { .turn = 1000 };
	struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);
	SSL_SESSION *session;
	struct pair p;

	turn(&keys);
	session = begin_with(context, TLS1_2_VERSION, NAME);
	for (int i = 0; i < 2; i++) {
		open_client(&p, TLS1_2_VERSION, NAME, i == 0 ? session : NULL);
		SSL_set_options(p.client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
		assert_int_equal(open_server(&p, context),
				 i == 0 ? TLS_TICKET_UNFIT : TLS_TICKET_NONE);
		shake(&p);
		assert_false(p.facts.resumed || p.facts.ticket_issued);
		assert_true((p.facts.ticket_refused != NULL) == (i == 0));
		close_pair(&p);
	}
	SSL_SESSION_free(session);
	tls_context_drop(context);
}

static void what_a_hello_offers(void **state)
{
	static const struct {
		struct tls_hello hello;
		uint16_t version;
		enum tls_ticket_offer offer;
	} cases[] = {
		{ { .psk_dhe = true }, PROFILE_TLS13, TLS_TICKET_FIT },
		{ { .psk_dhe = true, .psk = true }, PROFILE_TLS13, TLS_TICKET_FIT },
		{ { .psk = true }, PROFILE_TLS13, TLS_TICKET_UNFIT }, /* psk_ke alone */
		{ { .ems = true }, PROFILE_TLS13, TLS_TICKET_NONE },
		{ { .psk_dhe = true, .ticket = true, .ticket_len = 207 },
		  PROFILE_TLS13,
		  TLS_TICKET_NONE },
		{ { .ems = true }, PROFILE_TLS12, TLS_TICKET_NONE },
		{ { .ems = true, .ticket = true }, PROFILE_TLS12, TLS_TICKET_FIT },
		{ { .ems = true, .ticket = true, .ticket_len = 174 },
		  PROFILE_TLS12,
		  TLS_TICKET_FIT },
		{ { .ems = true, .ticket = true, .ticket_len = 175 },
		  PROFILE_TLS12,
		  TLS_TICKET_UNFIT },
		{ { .ticket = true, .ticket_len = 174 }, PROFILE_TLS12, TLS_TICKET_UNFIT },
		{ { .ticket = true }, PROFILE_TLS12, TLS_TICKET_NONE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tls_ticket_offer(&cases[i].hello, cases[i].version),
				 cases[i].offer);
}

/* They were there when the client was promised a ticket. */
static void keys_that_go_during_a_handshake_do_not_end_it(void **state)
{
	struct ticket_keys keys = { .turn = 1000 };
	struct tls_context *context = context_of(PROFILE_MODERN, LIFETIME);

	for (size_t i = 0; i < 2; i++) {
		struct pair p;

		turn(&keys);
		open_pair(&p, context, versions[i], NAME, NULL);
		assert_int_equal(tls_handshake(p.server, &p.to_server, &p.to_client), TLS_AGAIN);
		tls_tickets_use(NULL);
		shake(&p);
		assert_false(p.facts.ticket_issued);
		close_pair(&p);
	}
	tls_context_drop(context);
}

static int forget(void **state)
{
	signer_forget();
	return 0;
}

static int begin(void **state)
{
	authority = pem_authority("P-256");
	pem = pem_issue(&authority, "P-256", NAME);
	if (tls_init() != 0)
		return -1;
	client_ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(client_ctx);
	return 0;
}

static int end(void **state)
{
	SSL_CTX_free(client_ctx);
	tls_cleanup();
	pem_free(&pem);
	pem_free(&authority);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			a_ticket_resumes_in_another_context_until_its_key_has_gone, forget),
		cmocka_unit_test_teardown(only_tls_1_3_gives_a_resumed_session_a_new_ticket,
					  forget),
		cmocka_unit_test_teardown(a_ticket_is_good_for_its_profile_and_name_only, forget),
		cmocka_unit_test_teardown(without_a_name_it_is_good_for_the_same_key_only, forget),
		cmocka_unit_test_teardown(a_ticket_of_one_version_is_none_of_the_other, forget),
		cmocka_unit_test_teardown(
			a_suite_that_the_client_does_not_offer_any_more_is_not_resumed, forget),
		cmocka_unit_test_teardown(nothing_is_given_or_taken_where_tickets_are_off, forget),
		cmocka_unit_test_teardown(a_long_ticket_of_another_product_does_no_harm, forget),
		cmocka_unit_test_teardown(
			without_extended_master_secret_there_are_no_tickets_of_tls_1_2, forget),
		cmocka_unit_test(what_a_hello_offers),
		cmocka_unit_test_teardown(keys_that_go_during_a_handshake_do_not_end_it, forget),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
