/* checker - the short-lived child that finds out whether certificates can be used, makes the book of them, and whether the TLS and SASL
 * libraries take the configuration.
 * Invariants: builds what a worker will build, by the same functions, and keeps none of it; a fault carries the place of the certificate
 * or pool it is about; one list of certificates, one PREPARE, one answer. So the supervisor need not touch a library, nor a key.
 */
#include "auth/auth_check.h"
#include "frontend/audit.h"
#include "frontend/certify.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/generation.h"
#include "frontend/keeper_tickets.h"
#include "frontend/ocsp_http.h"
#include "frontend/prepared.h"
#include "frontend/status_http.h"
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

struct checker {
	struct ev_loop *loop;
	struct channel channel;
	struct arena *arena; /* of the list */
	struct certificate_list list;
	struct book *old;
	bool listed, done;
	bool audit;          /* is wanted as well */
	uint32_t generation; /* of PREPARE */
	struct config *config;
	struct config_faults faults;
	struct keeper_tickets *tickets; /* the file of them */
	struct certify *certify;        /* while certificates are read */
};

static void send_audit(struct checker *checker, const struct config *config,
		       const struct book *book)
{
	struct message_writer writer;
	struct audit_result result;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return; /* the supervisor misses it */
	result = audit(config, book, (int64_t)time(NULL), out);
	if (fclose(out) == 0) {
		message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_AUDITED);
		message_put_u32(&writer, result.findings);
		message_put_u32(&writer, result.notes);
		message_put_bytes(&writer, text, len);
		if (message_end(&writer, 0))
			channel_send(&checker->channel, &writer, NULL, 0);
		message_writer_cleanup(&writer);
	}
	free(text);
}

static void audit_book(struct checker *checker, const struct config *config, int fd)
{
	struct book *book = fd >= 0 ? book_map(fd) : NULL;

	if (book != NULL)
		send_audit(checker, config, book);
	book_drop(book);
}

/* The monitor's libraries are looked for last, when the keys are gone: they bring a second TLS library into the process. */
static void check_rest(struct checker *checker, int book)
{
	struct config_faults *faults = &checker->faults;
	struct generation *generation;
	struct config *config = checker->config;
	char why[256];

	auth_check(config, faults);
	checker->config = NULL;
	generation = generation_new(config, NULL, faults);
	if (generation == NULL)
		return;
	if (config->status.port != 0 && !status_http_available(why))
		config_fault(faults, false, config->status.source.file, config->status.source.line,
			     "status: %s", why);
	if (config->tls.ocsp == OCSP_FETCH && !ocsp_http_available(why))
		config_fault(faults, false, config->tls.ocsp_place.file,
			     config->tls.ocsp_place.line, "tls.ocsp = \"fetch\": %s", why);
	if (checker->audit && faults->errors == 0)
		audit_book(checker, config, book);
	generation_drop(generation);
}

static void answer(struct checker *checker)
{
	struct prepared_check check = { .library = tls_version(), .book = -1 };
	struct certify *certify = checker->certify;

	if (certify != NULL)
		check.book = certify_finish(certify);
	if (checker->config != NULL && checker->list.mode != CERTIFICATE_RENEWAL)
		check_rest(checker, check.book);
	if (certify != NULL)
		check.refused = certify_refusals(certify, &check.refusals);
	prepared_answer(&checker->channel, checker->generation, &checker->faults, &check);
	if (check.book >= 0)
		close(check.book);
	certify_free(certify);
	checker->certify = NULL;
	checker->done = true;
}

/* Asks for files, and answers when there is nothing more to ask for. */
static bool go_on(struct checker *checker)
{
	uint32_t index;

	while (certify_want(checker->certify, &index)) {
		struct message_writer writer;
		bool sent;

		message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_WANT);
		certificate_put_want(&writer, index);
		sent = message_end(&writer, 0) &&
		       channel_send(&checker->channel, &writer, NULL, 0) == 0;
		message_writer_cleanup(&writer);
		if (!sent)
			return false;
	}
	if (certify_done(checker->certify))
		answer(checker);
	return true;
}

static bool take_list(struct checker *checker, struct message_reader *reader, const int *fds,
		      size_t nfds)
{
	if (checker->listed || nfds > 1 ||
	    !certificate_get_list(reader, checker->arena, &checker->list))
		return false;
	checker->listed = true;
	if (nfds == 1)
		checker->old = book_map(fds[0]);
	return nfds == 0 || checker->old != NULL;
}

static bool prepare(struct checker *checker, struct message_reader *reader)
{
	if (!checker->listed || checker->config != NULL)
		return false;
	checker->generation = message_get_u32(reader);
	checker->config = config_decode(reader, CHILD_CHECKER);
	if (checker->config == NULL) {
		config_fault(&checker->faults, false, "-", 0, "the configuration does not decode");
		answer(checker);
		return true;
	}
	if (checker->list.mode != CERTIFICATE_RENEWAL)
		keeper_tickets_check(checker->tickets, checker->config, &checker->faults, false);
	checker->certify =
		certify_new(checker->config, &checker->list, checker->old, &checker->faults);
	return checker->certify != NULL && go_on(checker);
}

static bool take_files(struct checker *checker, struct message_reader *reader, int *fds,
		       size_t nfds)
{
	struct certificate_files files;

	return checker->certify != NULL && certificate_get_files(reader, fds, nfds, &files) &&
	       certify_take(checker->certify, &files) && go_on(checker);
}

static bool understand(struct checker *checker, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	if (checker->done)
		return false;
	switch (type) {
	case CONTROL_CERTIFICATES:
		return take_list(checker, reader, fds, nfds);
	case CONTROL_TICKETS:
		keeper_tickets_message(checker->tickets, reader, nfds == 1 ? fds[0] : -1);
		return !reader->failed;
	case CONTROL_PREPARE:
		return prepare(checker, reader);
	case CONTROL_AUDIT:
		checker->audit = true;
		return nfds == 0;
	case CONTROL_FILES:
		return take_files(checker, reader, fds, nfds);
	default:
		return false;
	}
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct checker *checker = channel->owner;

	if (!understand(checker, type, reader, fds, nfds))
		ev_break(checker->loop, EVBREAK_ALL);
}

/* The supervisor closes the channel once it has the answer. */
static void on_closed(struct channel *channel, const char *why)
{
	struct checker *checker = channel->owner;

	ev_break(checker->loop, EVBREAK_ALL);
}

static void checker_cleanup(struct checker *checker)
{
	channel_cleanup(&checker->channel);
	certify_free(checker->certify);
	keeper_tickets_free(checker->tickets);
	config_free(checker->config);
	config_faults_cleanup(&checker->faults);
	book_drop(checker->old);
	arena_free(checker->arena);
}

int checker_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct checker checker = { .loop = ev_default_loop(EVFLAG_NOENV) };

	if (!checker.loop || tls_init() < 0 ||
	    channel_init(&checker.channel, checker.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, &checker) < 0)
		return EX_SOFTWARE;
	checker.arena = arena_new();
	checker.tickets = keeper_tickets_new();
	if (checker.tickets == NULL)
		return EX_SOFTWARE;
	ev_run(checker.loop, 0);
	checker_cleanup(&checker);
	tls_cleanup();
	ev_loop_destroy(checker.loop);
	return checker.done ? 0 : EX_SOFTWARE;
}
