/* session_log - see session_log.h. */
#include "frontend/session_log.h"
#include "frontend/backend_login.h"
#include "frontend/metrics.h"

static void count(const struct session *s, unsigned metric, uint64_t value)
{
	metrics_add(s->worker->shared, s->worker->start->index, metric, value);
}

/* Of one family that has a place for each protocol. */
static unsigned by_protocol(const struct session *s, unsigned first)
{
	return first + (unsigned)s->listener->config->protocol;
}

static void count_login(const struct session *s, enum metric_result result)
{
	count(s, METRIC_LOGINS + (unsigned)s->listener->config->protocol * METRIC_RESULTS + result,
	      1);
}

/* What this process has lost since it was asked last. */
static uint64_t newly_lost(void)
{
	static uint64_t told;
	uint64_t lost = log_lost() - told;

	told += lost;
	return lost;
}

void session_log(const struct session *s, struct log_line *line, enum log_level level,
		 const char *event)
{
	char text[ADDRESS_TEXT_MAX];

	log_begin(line, level, event, s->id);
	log_word(line, "protocol", s->listener->protocol->name);
	log_word(line, "listener", s->listener->name);
	log_word(line, "client", address_text(&s->peer.u.any, text));
}

static void log_certificate(struct log_line *line, const struct session *s)
{
	const struct client_certificate *certificate = s->certificate;
	static const char *const words[] = {
		[CLIENT_CERTIFICATE_NONE] = "none",
		[CLIENT_CERTIFICATE_UNVERIFIED] = "unverified",
		[CLIENT_CERTIFICATE_VERIFIED] = "verified",
	};

	/* Before the handshake is over nothing is proven but what is wrong. */
	if (certificate == NULL ||
	    (certificate->status != CLIENT_CERTIFICATE_UNVERIFIED && s->tls.version == NULL))
		return;
	log_word(line, "client_certificate", words[certificate->status]);
	if (certificate->fault != NULL)
		log_word(line, "certificate_fault", certificate->fault);
	if (certificate->name != NULL)
		log_value(line, "certificate_name", span_of(certificate->name));
	if (certificate->user != NULL)
		log_value(line, "certificate_user", span_of(certificate->user));
}

void session_log_end(const struct session *s)
{
	struct log_line line;
	char backend[256];

	session_log(s, &line, LOG_LEVEL_INFO, "session_end");
	if (s->user != NULL)
		log_value(&line, "user", span_of(s->user));
	if (s->mechanism[0] != '\0')
		log_word(&line, "mechanism", s->mechanism);
	if (s->tls.version != NULL) {
		log_word(&line, "tls", s->tls.version);
		log_word(&line, "cipher", s->tls.cipher);
		log_word(&line, "group", s->tls.group);
		if (s->sni != NULL)
			log_value(&line, "sni", span_of(s->sni));
		log_word(&line, "resumed", s->tls.resumed ? "yes" : "no");
	}
	log_certificate(&line, s);
	if (s->backend_accepted)
		log_word(&line, "backend", backend_login_name(s, backend));
	log_number(&line, "in", s->client.received);
	log_number(&line, "out", s->client.sent);
	log_seconds(&line, "seconds", ev_now(s->worker->loop) - s->began);
	log_word(&line, "reason", s->reason ? s->reason : "closed");
	log_end(&line);
	count(s, by_protocol(s, METRIC_RECEIVED), s->client.received);
	count(s, by_protocol(s, METRIC_SENT), s->client.sent);
	count(s, METRIC_LOG_LOST, newly_lost());
}

void session_log_refused(const struct session *s, const char *reason)
{
	struct log_line line;

	session_log(s, &line, LOG_LEVEL_INFO, "refused");
	log_word(&line, "reason", reason);
	log_end(&line);
	count(s, metrics_refusal(reason), 1);
}

/* The address stands before anything that a client chose. */
void session_log_failed(const struct session *s, const char *why, bool repeated)
{
	struct log_line line;
	char host[ADDRESS_TEXT_MAX];

	session_log(s, &line, LOG_LEVEL_WARNING, "auth_failed");
	log_word(&line, "address", address_host(&s->peer.u.any, host));
	log_word(&line, "mechanism", s->mechanism);
	log_word(&line, "repeated", repeated ? "yes" : "no");
	if (s->user != NULL)
		log_value(&line, "user", span_of(s->user));
	log_value(&line, "reason", span_of(why));
	log_end(&line);
	count_login(s, METRIC_REFUSED);
}

void session_log_auth(const struct session *s, const char *event, const char *why)
{
	struct log_line line;

	session_log(s, &line, LOG_LEVEL_WARNING, event);
	if (s->user != NULL)
		log_value(&line, "user", span_of(s->user));
	log_word(&line, "mechanism", s->mechanism);
	log_value(&line, "reason", span_of(why));
	log_end(&line);
	count_login(s, METRIC_TEMPORARY);
}

void session_log_login(const struct session *s)
{
	struct log_line line;
	char name[256];

	session_log(s, &line, LOG_LEVEL_DEBUG, "login");
	log_value(&line, "user", span_of(s->user));
	log_word(&line, "backend", backend_login_name(s, name));
	log_end(&line);
	count_login(s, METRIC_ACCEPTED);
}

void session_log_exposed(const struct session *s, struct span user)
{
	struct log_line line;

	session_log(s, &line, LOG_LEVEL_WARNING, "password_exposed");
	log_value(&line, "user", user.len > 0 ? user : SPAN("-"));
	log_end(&line);
}
