/* metrics - see metrics.h. A column begins on a cache line of its own, so that workers do not disturb each other. */
#include "frontend/metrics.h"
#include "frontend/child.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

struct column {
	_Alignas(64) _Atomic uint64_t values[METRICS];
};

static const char *const protocols[PROTOCOLS] = { "submission", "imap", "pop3" };
static const char *const results[METRIC_RESULTS] = { "accepted", "refused", "temporary" };
static const char *const versions[METRIC_VERSIONS] = { "TLSv1.3", "TLSv1.2", "TLSv1.1" };
static const char *const reasons[METRIC_REASONS] = {
	"plaintext",
	"injection",
	"limit",
	"tls_version",
	"no_common_cipher",
	"no_common_group",
	"no_common_signature",
	"no_common_certificate",
	"sni",
	"alpn",
	"not_tls",
	"bad_hello",
	"alert_received",
	"closed",
	"handshake",
	"tls_record",
	"client_certificate",
	"no_client_certificate",
	"token",
	"other",
};

static const char *const tickets[METRIC_TICKET_RESULTS] = {
	"issued", "resumed", "unknown_key", "foreign", "stale", "unfit",
};

static const char *const signatures[METRIC_SIGNATURE_RESULTS] = { "made", "failed", "late" };

/* A family with up to two labels; places run through the second one first. */
struct family {
	const char *name, *type, *help;
	unsigned first;
	struct {
		const char *name; /* NULL: no such label */
		const char *const *values;
		unsigned count;
	} labels[2];
};

static const struct family families[] = {
	{ "postern_sessions",
	  "gauge",
	  "Sessions that are open.",
	  METRIC_SESSIONS,
	  { { "protocol", protocols, PROTOCOLS },
	    { "state", session_state_names, SESSION_STATES } } },
	{ "postern_sessions_total",
	  "counter",
	  "Sessions that were begun.",
	  METRIC_SESSIONS_TOTAL,
	  { { "protocol", protocols, PROTOCOLS } } },
	{ "postern_logins_total",
	  "counter",
	  "Logins, by their outcome.",
	  METRIC_LOGINS,
	  { { "protocol", protocols, PROTOCOLS }, { "result", results, METRIC_RESULTS } } },
	{ "postern_refused_total",
	  "counter",
	  "Connections that were refused, or whose way was.",
	  METRIC_REFUSALS,
	  { { "reason", reasons, METRIC_REASONS } } },
	{ "postern_handshakes_total",
	  "counter",
	  "TLS handshakes with clients.",
	  METRIC_HANDSHAKES,
	  { { "version", versions, METRIC_VERSIONS } } },
	{ "postern_alpn_ignored_total",
	  "counter",
	  "Clients with an unknown application protocol that were let through (alpn = \"compat\").",
	  METRIC_ALPN_IGNORED,
	  { { "protocol", protocols, PROTOCOLS } } },
	{ "postern_tickets_total",
	  "counter",
	  "Session tickets given to clients, and what became of those that they showed.",
	  METRIC_TICKETS,
	  { { "result", tickets, METRIC_TICKET_RESULTS } } },
	{ "postern_signatures_total",
	  "counter",
	  "What came of asking the keeper, or a token, for a signature.",
	  METRIC_SIGNATURES,
	  { { "result", signatures, METRIC_SIGNATURE_RESULTS } } },
	{ "postern_received_bytes_total",
	  "counter",
	  "Octets of payload from clients.",
	  METRIC_RECEIVED,
	  { { "protocol", protocols, PROTOCOLS } } },
	{ "postern_sent_bytes_total",
	  "counter",
	  "Octets of payload to clients.",
	  METRIC_SENT,
	  { { "protocol", protocols, PROTOCOLS } } },
	{ "postern_child_deaths_total",
	  "counter",
	  "Processes of ours that died.",
	  METRIC_DEATHS,
	  { { "kind", child_kind_names, CHILD_CHECKER } } },
	{ "postern_log_lost_total",
	  "counter",
	  "Lines of the log that could not be written.",
	  METRIC_LOG_LOST,
	  { { .name = NULL } } },
};

size_t metrics_size(unsigned workers)
{
	return (workers + 1) * sizeof(struct column);
}

static _Atomic uint64_t *place(const struct shared *shared, unsigned column, unsigned metric)
{
	struct column *columns = shared_section(shared, SHARED_METRICS);

	return &columns[column].values[metric];
}

static uint64_t load(const struct shared *shared, unsigned column, unsigned metric)
{
	return atomic_load_explicit(place(shared, column, metric), memory_order_relaxed);
}

static void store(struct shared *shared, unsigned column, unsigned metric, uint64_t value)
{
	atomic_store_explicit(place(shared, column, metric), value, memory_order_relaxed);
}

void metrics_worker_died(struct shared *shared, unsigned worker)
{
	for (unsigned metric = 0; metric < METRIC_GAUGES; metric++)
		store(shared, worker, metric, 0);
}

void metrics_add(struct shared *shared, unsigned column, unsigned metric, uint64_t value)
{
	if (shared != NULL)
		store(shared, column, metric, load(shared, column, metric) + value);
}

void metrics_subtract(struct shared *shared, unsigned column, unsigned metric, uint64_t value)
{
	uint64_t now = shared != NULL ? load(shared, column, metric) : 0;

	if (shared != NULL)
		store(shared, column, metric, now > value ? now - value : 0);
}

uint64_t metrics_sum(const struct shared *shared, unsigned metric)
{
	uint64_t sum = 0;

	for (unsigned column = 0; column <= shared_workers(shared); column++)
		sum += load(shared, column, metric);
	return sum;
}

static unsigned find(const char *word, const char *const *list, unsigned count)
{
	unsigned i = 0;

	while (i + 1 < count && strcmp(word, list[i]) != 0)
		i++;
	return i;
}

unsigned metrics_refusal(const char *reason)
{
	return METRIC_REFUSALS + find(reason, reasons, METRIC_REASONS);
}

unsigned metrics_handshake(const char *version)
{
	return METRIC_HANDSHAKES + find(version, versions, METRIC_VERSIONS);
}

unsigned metrics_ticket(const char *result)
{
	return METRIC_TICKETS + find(result, tickets, METRIC_TICKET_RESULTS);
}

static void print_family(const struct shared *shared, const struct family *family, FILE *out)
{
	unsigned rows = family->labels[0].name ? family->labels[0].count : 1;
	unsigned columns = family->labels[1].name ? family->labels[1].count : 1;

	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
		family->type);
	for (unsigned i = 0; i < rows * columns; i++) {
		fputs(family->name, out);
		if (family->labels[0].name)
			fprintf(out, "{%s=\"%s\"", family->labels[0].name,
				family->labels[0].values[i / columns]);
		if (family->labels[1].name)
			fprintf(out, ",%s=\"%s\"", family->labels[1].name,
				family->labels[1].values[i % columns]);
		fprintf(out, "%s %" PRIu64 "\n", family->labels[0].name ? "}" : "",
			metrics_sum(shared, family->first + i));
	}
}

void metrics_print(const struct shared *shared, FILE *out)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		print_family(shared, &families[i], out);
}
