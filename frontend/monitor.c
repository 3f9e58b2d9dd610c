/* monitor - the process that looks at the servers behind on behalf of all workers, and serves the house's status.
 * Invariants: obeys its supervisor channel alone, and ends when that closes; sees no private key and no password; a worker hears of
 * every pool when it appears, and of each change. The only process that maps HTTP libraries.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/log_target.h"
#include "frontend/ocsp_fetch.h"
#include "frontend/prepared.h"
#include "frontend/status_http.h"
#include "frontend/tls.h"
#include "frontend/watch.h"
#include <stdlib.h>
#include <sys/queue.h>
#include <sysexits.h>
#include <unistd.h>

struct worker_peer {
	LIST_ENTRY(worker_peer) next;
	struct monitor *monitor;
	unsigned index, incarnation;
	struct channel channel;
};

struct monitor {
	struct ev_loop *loop;
	struct channel supervisor;
	struct resolver *resolver;
	struct watch *watch, *prepared;
	struct book *book, *prepared_book; /* of certificates, of these two */
	uint32_t prepared_book_number;     /* the generation that it belongs to */
	struct ocsp_fetch *fetch;          /* NULL: no OCSP responses are fetched */
	const struct child_start *start;
	struct shared *shared; /* the counters, to read */
	int prepared_socket;   /* for the pages; -1: none */
	struct status_http *http;
	LIST_HEAD(, worker_peer) workers;
};

/* ---- workers ---- */

/* A worker that takes no more is stuck, which is its supervisor's matter. */
static void publish_to(struct worker_peer *worker, const struct published_pool *word)
{
	struct message_writer writer;

	if (!channel_is_open(&worker->channel))
		return;
	message_begin(&writer, WORK_MESSAGE_MAX, PUBLICATION_POOL);
	publication_put_pool(&writer, word);
	if (message_end(&writer, 0))
		channel_send(&worker->channel, &writer, NULL, 0);
	message_writer_cleanup(&writer);
}

static void pool_changed(void *owner, struct watch *watch, size_t pool)
{
	struct monitor *monitor = owner;
	struct worker_peer *worker;
	struct published_pool word;

	if (watch != monitor->watch)
		return;
	watch_publication(watch, pool, &word);
	LIST_FOREACH (worker, &monitor->workers, next)
		publish_to(worker, &word);
}

static void publish_all_to(struct worker_peer *worker)
{
	const struct watch *watch = worker->monitor->watch;
	struct published_pool word;

	for (size_t i = 0; watch != NULL && i < watch_config(watch)->pools.count; i++) {
		watch_publication(watch, i, &word);
		publish_to(worker, &word);
	}
}

static void worker_message(struct channel *channel, unsigned type, struct message_reader *reader,
			   int *fds, size_t nfds)
{
	struct worker_peer *worker = channel->owner;
	struct published_suspect suspect;

	if (type == PUBLICATION_SUSPECT && publication_get_suspect(reader, &suspect) &&
	    worker->monitor->watch != NULL)
		watch_suspect(worker->monitor->watch, &suspect);
}

static void worker_closed(struct channel *channel, const char *why)
{
	channel_cleanup(channel);
}

static void worker_remove(struct worker_peer *worker)
{
	LIST_REMOVE(worker, next);
	channel_cleanup(&worker->channel);
	free(worker);
}

static void worker_down(struct monitor *monitor, unsigned index, unsigned incarnation)
{
	struct worker_peer *worker, *next;

	for (worker = LIST_FIRST(&monitor->workers); worker != NULL; worker = next) {
		next = LIST_NEXT(worker, next);
		if (worker->index == index && worker->incarnation == incarnation)
			worker_remove(worker);
	}
}

static void worker_up(struct monitor *monitor, unsigned index, unsigned incarnation, int *fd)
{
	static const struct channel_handlers handlers = { worker_message, worker_closed };
	struct worker_peer *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return;
	worker->monitor = monitor;
	worker->index = index;
	worker->incarnation = incarnation;
	LIST_INSERT_HEAD(&monitor->workers, worker, next);
	if (channel_init(&worker->channel, monitor->loop, *fd, WORK_MESSAGE_MAX, WORK_QUEUE_MAX,
			 &handlers, worker) == 0)
		publish_all_to(worker);
	*fd = -1;
}

/* ---- pages ---- */

static bool page(void *owner, const char *path, struct status_page *out)
{
	const struct monitor *monitor = owner;

	return status_page(path, monitor->shared, monitor->watch, monitor->book, out);
}

static bool allowed(void *owner, const struct sockaddr *address)
{
	const struct monitor *monitor = owner;
	const struct config *config = watch_config(monitor->watch);

	if (config->status.allow.count == 0)
		return address_is_loopback(address);
	return config_networks_contain(&config->status.allow, address);
}

static void serve_pages(struct monitor *monitor)
{
	static const struct status_http_handlers handlers = { allowed, page };
	char why[256] = "out of memory";

	status_http_free(monitor->http);
	monitor->http = NULL;
	if (monitor->prepared_socket == -1)
		return;
	monitor->http =
		status_http_new(monitor->loop, monitor->prepared_socket, &handlers, monitor, why);
	monitor->prepared_socket = -1;
	if (monitor->http == NULL)
		log_event(LOG_LEVEL_ERROR, "bug", "the status pages cannot be served: %s", why);
}

/* ---- certificates ---- */

static void staple_fetched(void *owner, uint32_t entry, const uint8_t *fingerprint,
			   const uint8_t *response, size_t len)
{
	struct monitor *monitor = owner;
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_STAPLE);
	message_put_u32(&writer, entry);
	message_put_bytes(&writer, fingerprint, BOOK_ID_LEN);
	message_put_bytes(&writer, response, len);
	if (message_end(&writer, 0))
		channel_send(&monitor->supervisor, &writer, NULL, 0);
	message_writer_cleanup(&writer);
}

static void use_book(struct monitor *monitor, struct book *book)
{
	book_drop(monitor->book);
	monitor->book = book;
	if (monitor->fetch != NULL)
		ocsp_fetch_book(monitor->fetch, book);
}

/* As the configuration in force wants it. */
static void fetch_or_not(struct monitor *monitor)
{
	bool wanted = watch_config(monitor->watch)->tls.ocsp == OCSP_FETCH;
	char why[256] = "out of memory";

	if (!wanted) {
		ocsp_fetch_free(monitor->fetch);
		monitor->fetch = NULL;
		return;
	}
	if (monitor->fetch != NULL)
		return;
	monitor->fetch = ocsp_fetch_new(monitor->loop, staple_fetched, monitor, why);
	if (monitor->fetch == NULL)
		log_event(LOG_LEVEL_ERROR, "bug", "OCSP responses cannot be fetched: %s", why);
	else if (monitor->book != NULL)
		ocsp_fetch_book(monitor->fetch, monitor->book);
}

/* Of the generation in force it takes effect at once, else with the COMMIT of its own. */
static void book_came(struct monitor *monitor, uint32_t number, int fd)
{
	struct book *book = book_map(fd);

	if (book == NULL) {
		log_event(LOG_LEVEL_ERROR, "bug", "the book of certificates cannot be read");
		return;
	}
	if (monitor->watch != NULL && number == watch_generation(monitor->watch)) {
		use_book(monitor, book);
		return;
	}
	book_drop(monitor->prepared_book);
	monitor->prepared_book = book;
	monitor->prepared_book_number = number;
}

static void commit_book(struct monitor *monitor, uint32_t number)
{
	if (monitor->prepared_book == NULL || monitor->prepared_book_number != number)
		return;
	use_book(monitor, monitor->prepared_book);
	monitor->prepared_book = NULL;
}

/* ---- configuration ---- */

static void drop_prepared(struct monitor *monitor)
{
	watch_free(monitor->prepared);
	monitor->prepared = NULL;
	if (monitor->prepared_socket != -1)
		close(monitor->prepared_socket);
	monitor->prepared_socket = -1;
}

static void prepare(struct monitor *monitor, struct message_reader *message)
{
	static const struct watch_handlers handlers = { pool_changed };
	struct config_faults faults = { 0 };
	uint32_t number = message_get_u32(message);
	struct config *config = config_decode(message, CHILD_MONITOR);

	drop_prepared(monitor);
	if (monitor->shared == NULL && config != NULL)
		monitor->shared =
			shared_map(monitor->start->shared, (unsigned)config->workers, false);
	if (config == NULL || monitor->shared == NULL)
		config_fault(&faults, false, "-", 0, "the monitor cannot use its configuration");
	if (faults.errors > 0)
		config_free(config);
	else
		monitor->prepared = watch_new(monitor->loop, monitor->resolver, config, number,
					      monitor->watch, &handlers, monitor, &faults);
	prepared_answer(&monitor->supervisor, number, &faults, NULL);
	config_faults_cleanup(&faults);
}

static void commit(struct monitor *monitor, uint32_t number)
{
	struct worker_peer *worker;

	if (monitor->prepared == NULL || number != watch_generation(monitor->prepared))
		return;
	resolver_forget(monitor->resolver); /* or the next one's questions wait behind them */
	watch_free(monitor->watch);
	monitor->watch = monitor->prepared;
	monitor->prepared = NULL;
	commit_book(monitor, number);
	fetch_or_not(monitor);
	log_set_level((enum log_level)watch_config(monitor->watch)->log.level);
	LIST_FOREACH (worker, &monitor->workers, next)
		publish_all_to(worker);
	watch_start(monitor->watch);
	serve_pages(monitor);
	prepared_serving(&monitor->supervisor, number);
}

static void resolved(void *owner, const struct resolver_answer *answer)
{
	struct monitor *monitor = owner;

	if (monitor->watch != NULL)
		watch_resolved(monitor->watch, answer);
}

/* ---- the supervisor ---- */

static void peer_message(struct monitor *monitor, bool up, struct message_reader *message, int *fds,
			 size_t nfds)
{
	uint8_t kind = message_get_u8(message);
	uint32_t index = message_get_u32(message), incarnation = message_get_u32(message);

	if (message->failed || kind != CHILD_WORKER)
		return;
	if (!up)
		worker_down(monitor, index, incarnation);
	else if (nfds == 1)
		worker_up(monitor, index, incarnation, &fds[0]);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *message,
		       int *fds, size_t nfds)
{
	struct monitor *monitor = channel->owner;

	switch (type) {
	case CONTROL_PREPARE:
		prepare(monitor, message);
		break;
	case CONTROL_COMMIT:
		commit(monitor, message_get_u32(message));
		break;
	case CONTROL_ABORT:
		drop_prepared(monitor);
		break;
	case CONTROL_BOOK:
		if (nfds == 1)
			book_came(monitor, message_get_u32(message), fds[0]);
		break;
	case CONTROL_LISTENER:
		if (nfds == 1 && monitor->prepared_socket == -1) {
			monitor->prepared_socket = fds[0];
			fds[0] = -1;
		}
		break;
	case CONTROL_PEER_UP:
	case CONTROL_PEER_DOWN:
		peer_message(monitor, type == CONTROL_PEER_UP, message, fds, nfds);
		break;
	case CONTROL_LOG:
		log_target_take(message, fds, nfds);
		break;
	case CONTROL_DRAIN:
	case CONTROL_STOP:
		ev_break(monitor->loop, EVBREAK_ALL);
		break;
	default:
		break;
	}
}

static void on_closed(struct channel *channel, const char *why)
{
	struct monitor *monitor = channel->owner;

	ev_break(monitor->loop, EVBREAK_ALL);
}

static void cleanup(struct monitor *monitor)
{
	for (struct worker_peer *worker = LIST_FIRST(&monitor->workers), *next; worker != NULL;
	     worker = next) {
		next = LIST_NEXT(worker, next);
		worker_remove(worker);
	}
	channel_cleanup(&monitor->supervisor);
	drop_prepared(monitor);
	status_http_free(monitor->http);
	watch_free(monitor->watch);
	ocsp_fetch_free(monitor->fetch);
	book_drop(monitor->book);
	book_drop(monitor->prepared_book);
	shared_unmap(monitor->shared);
	resolver_free(monitor->resolver);
}

int monitor_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct monitor monitor = {
		.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV),
		.start = start,
		.prepared_socket = -1,
	};

	if (monitor.loop == NULL || tls_init() != 0)
		return EX_SOFTWARE;
	LIST_INIT(&monitor.workers);
	monitor.resolver = resolver_new(monitor.loop, resolved, &monitor);
	if (monitor.resolver == NULL ||
	    channel_init(&monitor.supervisor, monitor.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, &monitor) < 0)
		return EX_SOFTWARE;
	ev_run(monitor.loop, 0);
	cleanup(&monitor);
	tls_cleanup();
	ev_loop_destroy(monitor.loop);
	return EX_OK;
}
