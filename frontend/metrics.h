/* metrics - counters of the whole house in the shared mapping, and their text for Prometheus.
 * Invariants: each worker writes its own column, the supervisor the one behind them, and readers add up; counters only ever grow, also
 * over a worker's death; gauges of a dead worker are cleared. No name of a user is ever among them.
 */
#ifndef FRONTEND_METRICS_H
#define FRONTEND_METRICS_H

#include "frontend/config.h"
#include "frontend/session_table.h"
#include "frontend/shared.h"

/* What came of asking the keeper or a token: METRIC_UNSIGNED_LATE when the keeper did not answer in time. */
enum metric_signature {
	METRIC_SIGNED,
	METRIC_UNSIGNED_FAILED,
	METRIC_UNSIGNED_LATE,
	METRIC_SIGNATURE_RESULTS
};

enum metric_result { METRIC_ACCEPTED, METRIC_REFUSED, METRIC_TEMPORARY, METRIC_RESULTS };

#define METRIC_REASONS        20 /* of `refused`; the last one stands for all others */
#define METRIC_VERSIONS       3  /* of TLS */
#define METRIC_TICKET_RESULTS 6

/* Where each family begins; its places follow in the order of its labels. */
enum metric {
	METRIC_SESSIONS = 0, /* gauge: protocol, state */
	METRIC_GAUGES = METRIC_SESSIONS + PROTOCOLS * SESSION_STATES,
	METRIC_SESSIONS_TOTAL = METRIC_GAUGES,                          /* protocol */
	METRIC_LOGINS = METRIC_SESSIONS_TOTAL + PROTOCOLS,              /* protocol, result */
	METRIC_REFUSALS = METRIC_LOGINS + PROTOCOLS * METRIC_RESULTS,   /* reason */
	METRIC_HANDSHAKES = METRIC_REFUSALS + METRIC_REASONS,           /* version */
	METRIC_ALPN_IGNORED = METRIC_HANDSHAKES + METRIC_VERSIONS,      /* protocol */
	METRIC_TICKETS = METRIC_ALPN_IGNORED + PROTOCOLS,               /* result */
	METRIC_SIGNATURES = METRIC_TICKETS + METRIC_TICKET_RESULTS,     /* result */
	METRIC_RECEIVED = METRIC_SIGNATURES + METRIC_SIGNATURE_RESULTS, /* protocol */
	METRIC_SENT = METRIC_RECEIVED + PROTOCOLS,                      /* protocol */
	METRIC_DEATHS = METRIC_SENT + PROTOCOLS, /* kind of child, but the checker */
	METRIC_LOG_LOST = METRIC_DEATHS + CHILD_CHECKER,
	METRICS
};

/* Of the section, for shared.c. */
size_t metrics_size(unsigned workers);
void metrics_worker_died(struct shared *, unsigned worker);

/* `column`: the worker's index; shared_workers() for the supervisor. shared NULL: nothing is counted. */
void metrics_add(struct shared *, unsigned column, unsigned metric, uint64_t);
void metrics_subtract(struct shared *, unsigned column, unsigned metric, uint64_t); /* gauges */
uint64_t metrics_sum(const struct shared *, unsigned metric);

/* The places of words: the last one when it is none of them. */
unsigned metrics_refusal(const char *reason);
unsigned metrics_handshake(const char *version);
unsigned metrics_ticket(const char *result);

/* All of them in the text format of Prometheus (version 0.0.4). */
void metrics_print(const struct shared *, FILE *);

#endif
