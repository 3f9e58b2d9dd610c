/* audit - see audit.h. The report goes out as it is made; findings are gathered meanwhile and stand behind it, in the order in which
 * they were met.
 */
#include "frontend/audit.h"
#include "frontend/audit_chain.h"
#include "frontend/audit_findings.h"
#include "frontend/audit_records.h"
#include "frontend/gate.h"
#include "frontend/profile.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WEEK_SECONDS (7 * 86400)

struct audit {
	const struct config *config;
	const struct book *book;
	int64_t now;
	FILE *out;
	FILE *found; /* the findings' lines */
	struct audit_result result;
};

static const char *const protocol_names[PROTOCOLS] = { "submission", "imap", "pop3" };
static const char *const key_names[BOOK_KINDS] = { "ECDSA P-256", "ECDSA P-384", "RSA", "Ed25519" };

static bool full(const struct audit *audit, FILE *out)
{
	return ftell(out) > (long)AUDIT_TEXT_MAX / 4;
}

static void find(struct audit *audit, enum audit_finding finding, const char *where)
{
	const struct audit_row *row = audit_row(finding);
	bool counts = row->level == AUDIT_FINDING;

	*(counts ? &audit->result.findings : &audit->result.notes) += 1;
	if (!full(audit, audit->found))
		fprintf(audit->found, "%-7s  %s: %s (%s)\n", counts ? "FINDING" : "note", where,
			row->text, row->clause);
}

static void print_day(FILE *out, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm parts;
	char text[32] = "?";

	if (gmtime_r(&time, &parts) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts);
	fputs(text, out);
}

/* ---- listeners ---- */

static const char *version_name(unsigned version)
{
	return version == PROFILE_TLS13   ? "TLSv1.3"
	       : version == PROFILE_TLS12 ? "TLSv1.2"
					  : "TLSv1.1";
}

static void print_profile(const struct profile *profile, FILE *out)
{
	fprintf(out, "  profile      %s (%s)\n  versions    ", profile->name, profile->standard);
	for (unsigned version = profile->max; version >= profile->min; version--)
		fprintf(out, " %s", version_name(version));
	for (size_t i = 0; profile->suites[i] != NULL; i++)
		fprintf(out, "%s%s\n", i == 0 ? "\n  suites       " : "               ",
			profile->suites[i]->iana);
	fputs("  groups      ", out);
	for (size_t i = 0; profile->groups[i] != NULL; i++)
		fprintf(out, " %s", profile->groups[i]->name);
	fputs("\n  signatures  ", out);
	for (size_t i = 0; profile->sigalgs[i] != NULL; i++)
		fprintf(out, " %s", profile->sigalgs[i]->name);
	fputc('\n', out);
}

/* Submission has no registered identifier: whatever a client names there is another protocol's. */
static void print_alpn(const struct config_listener *listener, FILE *out)
{
	static const char *const modes[] = {
		[GATE_ALPN_STRICT] = "or none",
		[GATE_ALPN_REQUIRE] = "required",
		[GATE_ALPN_COMPAT] = "or anything",
	};

	if (listener->protocol == PROTOCOL_SUBMISSION)
		fprintf(out, "  ALPN         %s\n",
			listener->alpn == GATE_ALPN_COMPAT ? "anything" : "none");
	else
		fprintf(out, "  ALPN         %s, %s\n", protocol_names[listener->protocol],
			modes[listener->alpn]);
}

/* Who is asked for a certificate gets none. */
static void print_tickets(const struct config *config, const struct config_listener *listener,
			  FILE *out)
{
	if (!config->tls.tickets.enabled ||
	    listener->client_certificates.mode != CLIENT_CERTIFICATES_OFF)
		fputs("  tickets      off\n", out);
	else if (config->tls.tickets.file != NULL)
		fputs("  tickets      keys from a file\n", out);
	else
		fprintf(out, "  tickets      a new key every %d s\n", config->tls.tickets.rotate);
}

/* The checker is given what stands in their files, and no path. */
static void print_clients(const struct config_client_certificates *clients, FILE *out)
{
	if (clients->mode == CLIENT_CERTIFICATES_OFF) {
		fputs("  clients      asked for no certificate\n", out);
		return;
	}
	fprintf(out,
		"  clients      asked for a certificate, %s; %s revocation lists; users by %s\n",
		clients->mode == CLIENT_CERTIFICATES_REQUIRED ? "required" : "optional",
		clients->crl_pem.data != NULL ? "with" : "without",
		clients->users_text.data != NULL ? "a file" : "the address in it");
}

static void judge_profile(struct audit *audit, const struct profile *profile, const char *where)
{
	if (profile->min < PROFILE_TLS12)
		find(audit, AUDIT_OLD_VERSION, where);
	for (size_t i = 0; profile->suites[i] != NULL; i++) {
		const char *name = profile->suites[i]->iana;

		if (strstr(name, "_CBC_") == NULL && strstr(name, "TLS_DHE_") == NULL)
			continue;
		find(audit, AUDIT_WEAK_SUITES, where);
		break;
	}
}

/* A client that reaches the STARTTLS listener reaches the twin as well: same address, or every address of its family. */
static bool has_implicit_twin(const struct config *config, const struct config_listener *listener)
{
	for (size_t i = 0; i < config->listeners.count; i++) {
		const struct config_listener *other = &config->listeners.items[i];

		if (other->protocol == listener->protocol && other->tls == LISTENER_IMPLICIT &&
		    (strcmp(other->address, listener->address) == 0 ||
		     strcmp(other->address, strchr(listener->address, ':') ? "::" : "0.0.0.0") ==
			     0))
			return true;
	}
	return false;
}

/* Each profile is told whole once. */
static void tell_profile(const struct audit *audit, const struct config_listener *listener)
{
	const struct profile *profile = profile_find(listener->profile);

	for (const struct config_listener *other = audit->config->listeners.items; other < listener;
	     other++) {
		if (other->profile != listener->profile)
			continue;
		fprintf(audit->out, "  profile      %s (%s), as above\n", profile->name,
			profile->standard);
		return;
	}
	print_profile(profile, audit->out);
}

static bool hostname_covered(const struct audit *audit, uint32_t set)
{
	char name[BOOK_NAME_MAX + 1];
	size_t len = strlen(audit->config->hostname);
	uint32_t entry;

	if (len > BOOK_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++)
		name[i] = (char)tolower((unsigned char)audit->config->hostname[i]);
	return book_find(audit->book, set, name, &entry, 1) > 0;
}

static void print_certificates_of(const struct audit *audit, uint32_t set)
{
	struct book_entry entry;
	uint32_t first, count = 0;

	for (uint32_t i = 0; i < book_count(audit->book); i++) {
		book_entry(audit->book, i, &entry);
		count += entry.set == set && !(entry.flags & BOOK_BAD);
	}
	fprintf(audit->out, "  certificates %u", (unsigned)count);
	if (book_default(audit->book, set, &first, 1) > 0) {
		book_entry(audit->book, first, &entry);
		fprintf(audit->out, ", %s without a name", entry.name);
	}
	fputc('\n', audit->out);
}

static void audit_listener(struct audit *audit, const struct config_listener *listener)
{
	const struct profile *profile = profile_find(listener->profile);
	bool refuses = profile->refuse_unknown || listener->unknown_sni == UNKNOWN_SNI_REFUSE;
	char where[128];
	uint32_t first;

	snprintf(where, sizeof(where), "%s %s:%d %s", protocol_names[listener->protocol],
		 listener->address, listener->port,
		 listener->tls == LISTENER_IMPLICIT ? "implicit" : "starttls");
	fprintf(audit->out, "\n[%s]\n", where);
	tell_profile(audit, listener);
	fprintf(audit->out, "  unknown name %s\n",
		refuses ? "refused" : "gets the default certificate");
	print_alpn(listener, audit->out);
	print_tickets(audit->config, listener, audit->out);
	print_clients(&listener->client_certificates, audit->out);
	print_certificates_of(audit, (uint32_t)listener->set);
	if (listener->alpn == GATE_ALPN_COMPAT)
		find(audit, AUDIT_ALPN_COMPAT, where);
	judge_profile(audit, profile, where);
	if (!refuses)
		find(audit, AUDIT_UNKNOWN_SNI, where);
	if (listener->tls == LISTENER_STARTTLS && !has_implicit_twin(audit->config, listener))
		find(audit, AUDIT_NO_IMPLICIT_TWIN, where);
	if (book_default(audit->book, (uint32_t)listener->set, &first, 1) == 0)
		find(audit, AUDIT_NO_CERTIFICATE, where);
	else if (!hostname_covered(audit, (uint32_t)listener->set))
		find(audit, AUDIT_HOSTNAME_MISSING, where);
}

/* ---- certificates ---- */

static void print_names(const struct book_entry *entry, FILE *out)
{
	fputs("  names       ", out);
	for (const char *name = NULL; (name = book_next_name(entry, name)) != NULL;)
		fprintf(out, " %s", name);
	fputc('\n', out);
}

static void print_chain(const struct audit_link *links, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%s%s\n               by %s, until ",
			i == 0 ? "  chain        " : "               ", links[i].subject,
			links[i].issuer);
		print_day(out, links[i].not_after);
		fputc('\n', out);
	}
}

/* Of a running monitor's answers nothing is known here, only that it will ask. */
static bool is_fetched(const struct audit *audit, const struct book_entry *entry)
{
	return audit->config->tls.ocsp == OCSP_FETCH && entry->ocsp[0] != '\0' &&
	       entry->issuer.len > 0;
}

static void print_staple(const struct audit *audit, const struct book_entry *entry)
{
	FILE *out = audit->out;

	fputs("  stapling     ", out);
	if (entry->staple.len == 0) {
		fputs(is_fetched(audit, entry) ? "fetched while it runs" : "none", out);
	} else {
		fputs(entry->next_update > audit->now ? "until " : "not any more, ended ", out);
		print_day(out, entry->next_update);
	}
	if (entry->ocsp[0] != '\0')
		fprintf(out, ", responder %s", entry->ocsp);
	fprintf(out, "%s\n", entry->flags & BOOK_MUST_STAPLE ? ", must-staple" : "");
}

static void judge_validity(struct audit *audit, const struct book_entry *entry,
			   const struct audit_link *links, size_t count, const char *where)
{
	if (entry->not_after <= audit->now)
		find(audit, AUDIT_EXPIRED, where);
	else if (entry->not_after <= audit->now + AUDIT_EXPIRY_SECONDS)
		find(audit, AUDIT_EXPIRES_SOON, where);
	for (size_t i = 1; i < count; i++) {
		if (links[i].not_after >= entry->not_after ||
		    links[i].not_after > audit->now + AUDIT_EXPIRY_SECONDS)
			continue;
		find(audit, AUDIT_CHAIN_EXPIRES, where);
		break;
	}
}

static void judge_chain(struct audit *audit, const struct audit_link *links, size_t count,
			const char *where)
{
	bool small = false, old = false;

	for (size_t i = 0; i < count; i++) {
		small = small || (links[i].rsa && links[i].bits < 2048);
		old = old || links[i].old_hash;
	}
	if (small)
		find(audit, AUDIT_KEY_SMALL, where);
	if (old)
		find(audit, AUDIT_OLD_HASH, where);
	if (count > 0 && links[0].self_signed)
		find(audit, AUDIT_SELF_SIGNED, where);
	if (count > 0 && !links[0].alt_names)
		find(audit, AUDIT_NO_ALT_NAME, where);
}

static void judge_staple(struct audit *audit, const struct book_entry *entry, const char *where)
{
	bool stale = entry->staple.len > 0 && entry->next_update <= audit->now;
	bool none = (entry->staple.len == 0 || stale) && !is_fetched(audit, entry);

	if (stale)
		find(audit, AUDIT_STAPLE_STALE, where);
	if (none && (entry->flags & BOOK_MUST_STAPLE))
		find(audit, AUDIT_MUST_STAPLE, where);
	else if (none && !stale && entry->ocsp[0] != '\0')
		find(audit, AUDIT_NO_STAPLE, where);
}

static void judge_names(struct audit *audit, const struct book_entry *entry, const char *where)
{
	for (const char *name = NULL; (name = book_next_name(entry, name)) != NULL;) {
		if (name[0] != '*')
			continue;
		find(audit, AUDIT_WILDCARD, where);
		return;
	}
}

static void print_certificate(const struct audit *audit, const struct book_entry *entry,
			      const struct audit_link *links, size_t count)
{
	FILE *out = audit->out;

	print_names(entry, out);
	fprintf(out, "  key          %s", key_names[entry->kind]);
	if (entry->kind == BOOK_RSA)
		fprintf(out, " %u", (unsigned)entry->bits);
	fprintf(out, "%s\n  valid        ", entry->flags & BOOK_TOKEN ? ", in a token" : "");
	print_day(out, entry->not_before);
	fputs(" to ", out);
	print_day(out, entry->not_after);
	fputc('\n', out);
	print_chain(links, count, out);
	print_staple(audit, entry);
}

static void audit_certificate(struct audit *audit, uint32_t index)
{
	struct audit_link links[AUDIT_CHAIN_MAX];
	struct book_entry entry;
	size_t count;

	book_entry(audit->book, index, &entry);
	if (!full(audit, audit->out))
		fprintf(audit->out, "\n[%s]\n", entry.path);
	if (entry.flags & BOOK_BAD) {
		find(audit, AUDIT_UNUSABLE, entry.path);
		return;
	}
	count = audit_chain(entry.chain, links, AUDIT_CHAIN_MAX);
	if (!full(audit, audit->out))
		print_certificate(audit, &entry, links, count);
	judge_validity(audit, &entry, links, count, entry.path);
	judge_chain(audit, links, count, entry.path);
	judge_names(audit, &entry, entry.path);
	judge_staple(audit, &entry, entry.path);
}

/* ---- servers behind ---- */

static void audit_pool(struct audit *audit, const struct config_pool *pool)
{
	char where[128];

	snprintf(where, sizeof(where), "backend %s", pool->name);
	if (pool->tls != BACKEND_TLS_NONE && profile_find(pool->profile)->min < PROFILE_TLS12)
		find(audit, AUDIT_POOL_OLD_VERSION, where);
	if (pool->plaintext_ok && pool->tls == BACKEND_TLS_NONE)
		find(audit, AUDIT_CLEAR_TEXT, where);
	if (pool->tls != BACKEND_TLS_NONE && pool->verify == VERIFY_NONE)
		find(audit, AUDIT_NOT_VERIFIED, where);
}

/* ---- the report ---- */

static void print_findings(struct audit *audit, const char *text)
{
	fprintf(audit->out, "\nFINDINGS: %u, and %u notes\n\n%s", audit->result.findings,
		audit->result.notes, text);
	if (full(audit, audit->found))
		fputs("... and more\n", audit->out);
}

static void print_records(struct audit *audit)
{
	fputs("\nTLSA RECORDS, for zones signed with DNSSEC only (RFC 8314 4.5.4, RFC 7671)\n\n",
	      audit->out);
	if (!audit_tlsa(audit->config, audit->book, audit->out))
		fputs("... and more\n", audit->out);
	fputs("\nSRV RECORDS, for the zone of each mail domain (RFC 6186, RFC 8314 5.1)\n\n",
	      audit->out);
	audit_srv(audit->config, audit->out);
}

struct audit_result audit(const struct config *config, const struct book *book, int64_t now,
			  FILE *out)
{
	struct audit state = { config, book, now, out, NULL, { 0, 0 } };
	char *text = NULL;
	size_t len;

	state.found = open_memstream(&text, &len);
	if (state.found == NULL) {
		fputs("out of memory\n", out);
		return (struct audit_result) { 1, 0 };
	}
	fputs("LISTENERS\n", out);
	for (size_t i = 0; i < config->listeners.count; i++)
		audit_listener(&state, &config->listeners.items[i]);
	if (config->tls.tickets.enabled && config->tls.tickets.file == NULL &&
	    config->tls.tickets.rotate > WEEK_SECONDS)
		find(&state, AUDIT_TICKETS_OLD, "tls.tickets.rotate");
	fputs("\nCERTIFICATES\n", out);
	for (uint32_t i = 0; i < book_count(book); i++)
		audit_certificate(&state, i);
	if (full(&state, out))
		fputs("... and more\n", out);
	for (size_t i = 0; i < config->pools.count; i++)
		audit_pool(&state, &config->pools.items[i]);
	fflush(state.found);
	print_findings(&state, text);
	fclose(state.found);
	free(text);
	print_records(&state);
	return state.result;
}
