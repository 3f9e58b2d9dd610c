/* client_tls - see client_tls.h.
 * Invariants: nothing goes to the library before the whole hello is here and has passed; words in clear at an implicit-TLS port and
 * bytes behind STARTTLS that are no TLS end the session by their own name.
 */
#include "frontend/client_tls.h"
#include "frontend/log.h"
#include "frontend/metrics.h"
#include "frontend/session_log.h"
#include "frontend/tls_ticket.h"
#include "frontend/worker.h"
#include <string.h>

static enum client_tls_step over(struct session *s, const char *reason)
{
	session_close(s, reason);
	return CLIENT_TLS_WAIT;
}

/* The alert goes out in clear, as anything does before a version is agreed on; 0: none. */
static enum client_tls_step refuse(struct session *s, unsigned alert, const char *reason)
{
	uint8_t record[TLS_ALERT_RECORD_LEN];

	if (alert != 0) {
		tls_alert_record(record, TLS_ALERT_FATAL, (enum tls_alert)alert);
		transport_write(&s->client, record, sizeof(record));
	}
	session_log_refused(s, reason);
	session_end(s, reason);
	return CLIENT_TLS_WAIT;
}

/* ---- before the library --------------------------------------------------------------------------------------------- */

static enum client_tls_step refuse_foreign(struct session *s, enum tls_instead instead)
{
	bool after_starttls = s->dialogue != NULL;

	switch (instead) {
	case TLS_INSTEAD_TEXT:
	case TLS_INSTEAD_HTTP:
		return refuse(s, 0, after_starttls ? "injection" : "plaintext");
	case TLS_INSTEAD_SSL2:
		return refuse(s, TLS_ALERT_PROTOCOL_VERSION, "tls_version");
	case TLS_INSTEAD_ALERT:
		return refuse(s, 0, "alert_received");
	default:
		return refuse(s, 0, after_starttls ? "injection" : "not_tls");
	}
}

static struct tls_context *find_context(struct session *s, const struct gate_verdict *verdict)
{
	struct generation *g = s->generation;
	const struct served_listener *listener = s->listener;
	struct tls_context *context;
	struct book_entry certificate;
	char why[256];

	book_entry(g->book, verdict->entry, &certificate);

	const struct tls_server_settings settings = {
		.profile = listener->rules.profile,
		.certificate = &certificate,
		.ticket_lifetime =
			g->config->tls.tickets.enabled ? g->config->tls.tickets.rotate : 0,
		.clients = listener->clients,
	};

	context = contexts_get(g->contexts, listener->tls_class, verdict->entry, &settings, why);
	if (context == NULL)
		log_event(LOG_LEVEL_ERROR, "bug", "no TLS context for %s: %s", certificate.path,
			  why);
	return context;
}

static enum client_tls_step begin(struct session *s, const struct tls_hello *hello)
{
	struct buffer *in = &s->client.in;
	struct gate_verdict verdict;
	struct tls_context *context;
	struct tls *tls;

	if (hello->sni_valid)
		s->sni = strdup(hello->sni);
	if (!gate_decide(&s->listener->rules, s->generation->book, hello, &verdict))
		return refuse(s, verdict.alert, verdict.reason);
	context = find_context(s, &verdict);
	if (context == NULL)
		return refuse(s, TLS_ALERT_INTERNAL_ERROR, "no_context");

	const struct tls_accept accept = {
		.sni = hello->sni,
		.alpn = verdict.alpn,
		.version = verdict.version,
		.tickets = tls_ticket_offer(hello, verdict.version),
	};

	if (verdict.alpn_ignored)
		metrics_add(s->worker->shared, s->worker->start->index,
			    METRIC_ALPN_IGNORED + (unsigned)s->listener->config->protocol, 1);
	tls = tls_accept_new(context, &accept);
	if (tls == NULL)
		return over(s, "no_memory");
	buffer_consume(in, tls_hello_join((uint8_t *)buffer_data(in), hello));
	transport_start_tls(&s->client, tls);
	session_enter(s, SESSION_HANDSHAKE);
	return CLIENT_TLS_AGAIN;
}

static enum client_tls_step step_accepted(struct session *s)
{
	enum transport_result filled = transport_fill(&s->client);
	struct buffer *in = &s->client.in;
	struct tls_hello hello;

	if (buffer_len(in) == 0)
		return filled == TRANSPORT_AGAIN ? CLIENT_TLS_WAIT : over(s, "client_closed");
	switch (tls_hello_parse((const uint8_t *)buffer_data(in), buffer_len(in), &hello)) {
	case TLS_HELLO_MORE:
		if (filled == TRANSPORT_CLOSED || filled == TRANSPORT_FAILED)
			return over(s, "handshake_aborted");
		return filled == TRANSPORT_DONE ? CLIENT_TLS_AGAIN : CLIENT_TLS_WAIT;
	case TLS_HELLO_DONE:
		return begin(s, &hello);
	case TLS_HELLO_NOT_TLS:
		return refuse_foreign(s, hello.instead);
	default:
		return refuse(s, hello.alert, "bad_hello");
	}
}

/* ---- the library's part --------------------------------------------------------------------------------------------- */

/* The session waits for no socket meanwhile, only for its time to be over. */
static enum client_tls_step ask_token(struct session *s)
{
	struct tls_request request;

	if (!tls_take_request(s->client.tls, &request))
		return CLIENT_TLS_WAIT;
	if (token_client_ask(&s->worker->token, s->id, &request))
		return CLIENT_TLS_WAIT;
	tls_signed(s->client.tls, NULL, 0);
	return CLIENT_TLS_AGAIN;
}

void client_tls_signed(struct session *s, const uint8_t *signature, size_t len)
{
	if (s->state != SESSION_HANDSHAKE || !tls_waits(s->client.tls))
		return;
	tls_signed(s->client.tls, signature, len);
	session_run(s);
}

bool client_tls_wants_client(const struct session *s)
{
	return s->state == SESSION_ACCEPTED || !tls_waits(s->client.tls);
}

static enum client_tls_step step_handshake(struct session *s)
{
	const char *reason;

	if (tls_waits(s->client.tls))
		return CLIENT_TLS_WAIT;
	switch (transport_handshake(&s->client)) {
	case TRANSPORT_DONE:
		return CLIENT_TLS_STANDS;
	case TRANSPORT_AGAIN:
		return CLIENT_TLS_WAIT;
	case TRANSPORT_PENDING:
		return ask_token(s);
	case TRANSPORT_CLOSED:
		return over(s, "handshake_aborted");
	default:
		if (!s->client.tls_failed)
			return over(s, "handshake_aborted");
		reason = tls_failure(s->client.tls);
		s->certificate = tls_take_client_certificate(s->client.tls);
		return refuse(s, 0, reason);
	}
}

enum client_tls_step client_tls_step(struct session *s)
{
	return s->state == SESSION_ACCEPTED ? step_accepted(s) : step_handshake(s);
}
