/* children_talk - see children_talk.h.
 * Invariants: a child that takes no more messages, or sends one that it may not send, is killed; nothing that a child says
 * is believed beyond its type and numbers.
 */
#include "frontend/children_talk.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include "frontend/ticket_file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- to a child ---- */

/* Sends and cleans up. A child that takes no more is of no use. */
static void send_to(struct child *child, struct message_writer *writer, const int *fds, size_t nfds)
{
	if (channel_is_open(&child->channel) &&
	    (!message_end(writer, (uint8_t)nfds) ||
	     channel_send(&child->channel, writer, fds, nfds) < 0))
		child_kill(child);
	message_writer_cleanup(writer);
}

void child_tell(struct child *child, enum control_type type, const int *fds, size_t nfds)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, type);
	send_to(child, &writer, fds, nfds);
}

void child_tell_generation(struct child *child, enum control_type type, uint32_t number)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, type);
	message_put_u32(&writer, number);
	send_to(child, &writer, NULL, 0);
}

void child_give_log(struct child *child, const struct log_output *log)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_LOG);
	log_target_put(&writer, log);
	send_to(child, &writer, &log->fd, 1);
}

static void tell_peer(struct child *child, enum control_type type, const struct child *peer,
		      const int *fds, size_t nfds)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, type);
	message_put_u8(&writer, (uint8_t)peer->kind);
	message_put_u32(&writer, peer->index);
	message_put_u32(&writer, peer->incarnation);
	send_to(child, &writer, fds, nfds);
}

static void give_listeners(struct child *child, const struct listening *listening)
{
	struct message_writer writer;

	for (size_t i = 0; i < listening->count; i++) {
		int fd = listening_socket(listening, i, child->index);

		message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_LISTENER);
		message_put_u32(&writer, (uint32_t)i);
		send_to(child, &writer, &fd, 1);
	}
}

static void give_status(struct child *child, const struct listening *listening)
{
	struct message_writer writer;

	if (!listening->has_status)
		return;
	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_LISTENER);
	message_put_u32(&writer, 0);
	send_to(child, &writer, &listening->status, 1);
}

void child_give_tickets(struct child *child, const char *path)
{
	struct message_writer writer;
	const char *why;
	int fd = ticket_file_open(path, &why);

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_TICKETS);
	message_put_string(&writer, path);
	message_put_string(&writer, why);
	send_to(child, &writer, &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0)
		close(fd);
}

static void give_config(struct child *child, uint32_t number, const struct config *config)
{
	struct message_writer writer;
	const char *tickets = ticket_file_path(config);

	if (tickets != NULL && (child->kind == CHILD_KEEPER || child->kind == CHILD_CHECKER))
		child_give_tickets(child, tickets);
	child->given = number;
	child->ready = false;
	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	message_put_u32(&writer, number);
	config_encode(&writer, config, child->kind);
	send_to(child, &writer, NULL, 0);
}

static void give_book(struct child *child, uint32_t number, const struct certificates *certificates)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_BOOK);
	message_put_u32(&writer, number);
	send_to(child, &writer, &certificates->book_fd, 1);
}

static bool has_keys(const struct child *child)
{
	return child->kind == CHILD_KEEPER || child->kind == CHILD_TOKEN;
}

void child_give_book(struct child *child, const struct certificates *certificates)
{
	give_book(child, child->all->now.number, certificates);
}

void child_give_check(struct child *child, const struct children_checking *checking)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_CERTIFICATES);
	certificate_put_list(&writer, &checking->certificates->list);
	if (checking->old != NULL)
		send_to(child, &writer, &checking->old->book_fd, 1);
	else
		send_to(child, &writer, NULL, 0);
	if (checking->audit)
		child_tell(child, CONTROL_AUDIT, NULL, 0);
	give_config(child, 0, checking->config);
}

/* That of the latest book of the keeper or the token process: a renewed one, or the one of the generation that it was given. */
const struct certificates *child_certificates(const struct child *child)
{
	const struct children *all = child->all;

	if (child->kind == CHILD_CHECKER)
		return all->checking.certificates;
	if (!has_keys(child))
		return NULL;
	if (all->renewed != NULL)
		return all->renewed;
	return all->next.number != 0 && child->given == all->next.number ? all->next.certificates
									 : all->now.certificates;
}

void child_give(struct child *child, const struct children_setup *setup)
{
	child->given = setup->number;
	if (has_keys(child))
		give_book(child, setup->number, child_certificates(child));
	else if (child->kind != CHILD_AUTH)
		give_book(child, setup->number, setup->certificates);
	give_config(child, setup->number, setup->config);
	if (child->kind == CHILD_WORKER)
		give_listeners(child, setup->listening);
	else if (child->kind == CHILD_MONITOR)
		give_status(child, setup->listening);
}

/* Workers talk to all others; the others only to workers. */
static bool are_peers(const struct child *a, const struct child *b)
{
	return a->kind != b->kind && (a->kind == CHILD_WORKER || b->kind == CHILD_WORKER);
}

/* With who has keys, packets: one is one request or one answer. */
static int pair_of(const struct child *a, const struct child *b, int fds[2])
{
	if (has_keys(a) || has_keys(b))
		return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
	return channel_pair(fds);
}

bool child_wire(struct child *child)
{
	struct children *all = child->all;

	for (unsigned i = 0; i < all->count; i++) {
		struct child *peer = &all->items[i];
		int fds[2];

		/* who is not wanted any more ends when its last channel does: it gets no further one */
		if (!are_peers(child, peer) || !child_is_wired(peer) || !peer->wanted)
			continue;
		if (pair_of(child, peer, fds) < 0) {
			log_event(LOG_LEVEL_ERROR, "supervisor", "cannot make a work channel: %s",
				  strerror(errno));
			return false;
		}
		tell_peer(peer, CONTROL_PEER_UP, child, &fds[0], 1);
		tell_peer(child, CONTROL_PEER_UP, peer, &fds[1], 1);
		close(fds[0]);
		close(fds[1]);
	}
	return true;
}

static void tell_peers(struct child *child, enum control_type type)
{
	struct children *all = child->all;

	for (unsigned i = 0; i < all->count; i++)
		if (are_peers(child, &all->items[i]) && child_is_wired(&all->items[i]))
			tell_peer(&all->items[i], type, child, NULL, 0);
}

void child_unwire(struct child *child)
{
	tell_peers(child, CONTROL_PEER_DOWN);
}

void child_retire(struct child *child)
{
	tell_peers(child, CONTROL_PEER_RETIRE);
	child_tell(child, CONTROL_DRAIN, NULL, 0);
}

/* ---- from a child ---- */

/* A refusal is about one of the certificates that it was given. */
static bool get_refusals(struct message_reader *reader, uint32_t count,
			 struct children_checked *out)
{
	out->refused = message_get_u32(reader);
	if (reader->failed || out->refused > count)
		return false;
	out->refusals = calloc(out->refused + 1, sizeof(*out->refusals));
	if (out->refusals == NULL)
		return false;
	for (uint32_t i = 0; i < out->refused; i++) {
		struct children_refusal *refusal = &out->refusals[i];

		refusal->index = message_get_u32(reader);
		refusal->why = message_get_string(reader);
		if (refusal->index >= count || refusal->why == NULL)
			return false;
	}
	return message_done(reader);
}

static void take_checked(struct child *child, struct message_reader *reader, int *fds, size_t nfds)
{
	const struct certificates *certificates = child_certificates(child);
	struct children_checked checked = { .version = message_get_string(reader) };

	if (certificates == NULL)
		return;
	if (checked.version != NULL && nfds == 1 &&
	    get_refusals(reader, certificates->list.count, &checked)) {
		checked.book = &fds[0];
		child->all->handlers->checked(child->all, &checked);
	} else {
		child_kill(child);
	}
	free(checked.refusals);
}

/* Who has keys answers to a book alone by the same message; answers come in the order of the questions. */
static bool is_about_a_book(const struct child *child, uint32_t number)
{
	return child->books > 0 && number == child->all->now.number &&
	       (child->ready || number != child->given);
}

/* The answer to what has been taken back in the meantime says nothing any more. */
static void take_ready(struct child *child, struct message_reader *reader, int *fds, size_t nfds)
{
	struct config_faults warnings = { 0 };
	uint32_t number = message_get_u32(reader);

	if (is_about_a_book(child, number)) {
		child->books--;
		child_kept(child->all);
		return;
	}
	if (number != child->given)
		return;
	prepared_faults(reader, &warnings);
	if (reader->failed || warnings.errors > 0 || child->ready) {
		child_kill(child);
	} else {
		child->ready = true;
		if (warnings.count > 0)
			child->all->handlers->warned(child->all, child, &warnings);
		if (child->kind == CHILD_CHECKER)
			take_checked(child, reader, fds, nfds);
		else
			child_answered(child);
		if (has_keys(child))
			child_kept(child->all);
	}
	config_faults_cleanup(&warnings);
}

/* The keeper may still ask by a list that has been taken back: what that says of no certificate any more is not its fault. */
static void open_wanted(const struct child *child, uint32_t index, struct certificate_files *files,
			struct config_faults *faults)
{
	const struct certificates *certificates = child_certificates(child);

	if (index < certificates->list.count) {
		certificates_open(certificates, index, child->kind, files, faults);
		return;
	}
	*files = (struct certificate_files) { .index = index, .fds = { -1, -1, -1 } };
	files->why[CERTIFICATE_KEY] = "it is not wanted any more";
}

/* The files of one certificate, for the processes that read them. */
static void take_want(struct child *child, struct message_reader *reader)
{
	const struct certificates *certificates = child_certificates(child);
	struct config_faults faults = { 0 };
	struct certificate_files files;
	struct message_writer writer;
	int fds[CERTIFICATE_PARTS];
	uint32_t index;
	size_t count;

	if (certificates == NULL || child->kind == CHILD_TOKEN ||
	    !certificate_get_want(reader, &index) ||
	    (index >= certificates->list.count && child->kind != CHILD_KEEPER)) {
		child_kill(child);
		return;
	}
	child_goes_on(child);
	open_wanted(child, index, &files, &faults);
	if (faults.count > 0)
		child->all->handlers->warned(child->all, child, &faults);
	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_FILES);
	count = certificate_put_files(&writer, &files, fds);
	send_to(child, &writer, fds, count);
	certificate_files_close(&files);
	config_faults_cleanup(&faults);
}

static void take_audited(struct child *child, struct message_reader *reader)
{
	struct children_audited audited;

	audited.findings = message_get_u32(reader);
	audited.notes = message_get_u32(reader);
	audited.text = message_get_bytes(reader, &audited.len);
	if (message_done(reader) && child->kind == CHILD_CHECKER && child->all->checking.audit)
		child->all->handlers->audited(child->all, &audited);
	else
		child_kill(child);
}

static void take_staple(struct child *child, struct message_reader *reader)
{
	struct children_staple staple = { .index = message_get_u32(reader) };
	size_t len;

	staple.fingerprint = message_get_bytes(reader, &len);
	staple.response = message_get_bytes(reader, &staple.len);
	if (message_done(reader) && len == BOOK_ID_LEN && child->kind == CHILD_MONITOR)
		child->all->handlers->stapled(child->all, &staple);
	else
		child_kill(child);
}

static void take_failed(struct child *child, struct message_reader *reader)
{
	struct config_faults faults = { 0 };

	if (message_get_u32(reader) != child->given)
		return;
	prepared_faults(reader, &faults);
	child->all->handlers->failed(child->all, child, &faults);
	config_faults_cleanup(&faults);
	if (child->state == CHILD_PREPARING)
		child_tell(child, CONTROL_STOP, NULL, 0);
}

static void take_serving(struct child *child, struct message_reader *reader)
{
	uint32_t number = message_get_u32(reader);

	if (message_done(reader))
		child_serves(child, number);
	else
		child_kill(child);
}

/* Only a worker may complain, and only about the incarnation that it knew. */
static void take_stuck(struct child *child, struct message_reader *reader)
{
	unsigned kind = message_get_u8(reader);
	unsigned index = message_get_u32(reader), incarnation = message_get_u32(reader);
	struct child *peer = child_find(child->all, kind, index);

	if (!message_done(reader) || child->kind != CHILD_WORKER || !peer ||
	    (kind != CHILD_AUTH && kind != CHILD_KEEPER && kind != CHILD_TOKEN)) {
		child_kill(child);
		return;
	}
	if (peer->incarnation != incarnation || !child_is_wired(peer))
		return;
	child_log(LOG_LEVEL_ERROR, "child_stuck", peer, peer->pid, 0);
	child_kill(peer);
}

static void take_busy(struct child *child, struct message_reader *reader)
{
	unsigned kind = message_get_u8(reader);

	if (!message_done(reader) || child->kind != CHILD_WORKER || kind != CHILD_AUTH)
		child_kill(child);
	else
		child_busy(child->all, CHILD_AUTH);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct child *child = channel->owner;

	switch (type) {
	case CONTROL_READY:
		take_ready(child, reader, fds, nfds);
		break;
	case CONTROL_FAILED:
		take_failed(child, reader);
		break;
	case CONTROL_SERVING:
		take_serving(child, reader);
		break;
	case CONTROL_STUCK:
		take_stuck(child, reader);
		break;
	case CONTROL_BUSY:
		take_busy(child, reader);
		break;
	case CONTROL_WANT:
		take_want(child, reader);
		break;
	case CONTROL_AUDITED:
		take_audited(child, reader);
		break;
	case CONTROL_STAPLE:
		take_staple(child, reader);
		break;
	case CONTROL_IDLE:
		child_idle(child);
		break;
	default:
		child_kill(child);
	}
}

static void on_closed(struct channel *channel, const char *why)
{
	child_gone(channel->owner);
}

const struct channel_handlers children_talk_handlers = { on_message, on_closed };
