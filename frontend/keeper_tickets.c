/* keeper_tickets - see keeper_tickets.h. */
#include "frontend/keeper_tickets.h"
#include "frontend/ticket_seal.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEAST_WAIT 20 /* milliseconds, so that a clock that is late is not asked in a loop */

/* What the last message said of a file. */
struct offered {
	char *path;
	struct ticket_keys keys;
	int line;
	char fault[256]; /* "": the keys are good */
};

struct keeper_tickets {
	pthread_mutex_t lock;
	struct offered offered;
	bool enabled;
	int rotate;
	char *path; /* of the file in use; NULL: they are made here */
	struct ticket_keys keys;
};

struct keeper_tickets *keeper_tickets_new(void)
{
	struct keeper_tickets *tickets = calloc(1, sizeof(*tickets));

	if (tickets != NULL)
		pthread_mutex_init(&tickets->lock, NULL);
	return tickets;
}

void keeper_tickets_free(struct keeper_tickets *tickets)
{
	if (tickets == NULL)
		return;
	pthread_mutex_destroy(&tickets->lock);
	free(tickets->offered.path);
	free(tickets->path);
	explicit_bzero(tickets, sizeof(*tickets));
	free(tickets);
}

static bool same_path(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, char *text, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t got = pread(fd, text + *len, size - *len, (off_t)*len);

		if (got == 0)
			return true;
		if (got < 0 && errno != EINTR)
			return false;
		*len += got > 0 ? (size_t)got : 0;
	}
	errno = EFBIG;
	return false;
}

static void read_file(int fd, struct offered *out)
{
	char text[TICKET_FILE_MAX];
	struct stat status;
	size_t len = 0;

	if (fstat(fd, &status) == -1 || !read_all(fd, text, sizeof(text), &len))
		snprintf(out->fault, sizeof(out->fault), "%s", strerror(errno));
	else if (status.st_mode & (S_IRWXG | S_IRWXO))
		snprintf(out->fault, sizeof(out->fault),
			 "others than its owner have rights to it (mode %04o)",
			 (unsigned)status.st_mode & 07777);
	else
		ticket_keys_parse((struct span) { text, len }, &out->keys, &out->line, out->fault);
	explicit_bzero(text, sizeof(text));
}

static void tell(const struct offered *offered)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "ticket_file_refused", 0);
	log_value(&line, "path", span_of(offered->path));
	log_number(&line, "line", (uint64_t)offered->line);
	log_value(&line, "reason", span_of(offered->fault));
	log_end(&line);
}

/* Where the file is in use, a good one is in force at once. */
static void put_in_place(struct keeper_tickets *tickets)
{
	if (!tickets->enabled || !same_path(tickets->path, tickets->offered.path))
		return;
	if (tickets->offered.fault[0] != '\0') {
		tell(&tickets->offered);
		return;
	}
	ticket_keys_wipe(&tickets->keys);
	tickets->keys = tickets->offered.keys;
}

void keeper_tickets_message(struct keeper_tickets *tickets, struct message_reader *message, int fd)
{
	const char *path = message_get_string(message), *why = message_get_string(message);
	struct offered offered = { .path = NULL };

	if (path == NULL || why == NULL || !message_done(message))
		return;
	offered.path = strdup(path);
	if (offered.path == NULL)
		return;
	if (fd < 0)
		snprintf(offered.fault, sizeof(offered.fault), "it cannot be opened: %s", why);
	else
		read_file(fd, &offered);
	pthread_mutex_lock(&tickets->lock);
	free(tickets->offered.path);
	tickets->offered = offered;
	put_in_place(tickets);
	pthread_mutex_unlock(&tickets->lock);
	explicit_bzero(&offered, sizeof(offered));
}

/* ---- the configuration ---------------------------------------------------------------------------------------------- */

void keeper_tickets_check(const struct keeper_tickets *tickets, const struct config *config,
			  struct config_faults *faults, bool warning)
{
	const struct offered *offered = &tickets->offered;
	const char *path = config->tls.tickets.file;

	if (!config->tls.tickets.enabled || path == NULL)
		return;
	if (!same_path(path, offered->path))
		config_fault(faults, warning, path, 0, "the keys of tickets were not handed over");
	else if (offered->fault[0] != '\0')
		config_fault(faults, warning, path, offered->line, "%s", offered->fault);
}

void keeper_tickets_commit(struct keeper_tickets *tickets, const struct config *config)
{
	const char *path = config->tls.tickets.file;

	pthread_mutex_lock(&tickets->lock);
	free(tickets->path);
	tickets->path = path != NULL ? strdup(path) : NULL;
	tickets->rotate = config->tls.tickets.rotate;
	tickets->enabled = config->tls.tickets.enabled && (path == NULL || tickets->path != NULL);
	if (!tickets->enabled)
		ticket_keys_wipe(&tickets->keys);
	put_in_place(tickets);
	pthread_mutex_unlock(&tickets->lock);
}

/* ---- workers -------------------------------------------------------------------------------------------------------- */

/* With the keys of this moment in place; false: there are none. */
static bool bring_up_to_date(struct keeper_tickets *tickets)
{
	struct timespec now;
	int64_t left;

	tickets->keys.wait = KEEPER_TICKETS_FILE_WAIT;
	if (!tickets->enabled)
		return false;
	if (tickets->path != NULL)
		return tickets->keys.from_file;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!ticket_keys_turn(&tickets->keys, now.tv_sec, tickets->rotate, ticket_octets))
		return false;
	left = (tickets->keys.turn - now.tv_sec) * 1000 - now.tv_nsec / 1000000;
	tickets->keys.wait = (uint32_t)(left > 0 ? left : 0) + LEAST_WAIT;
	return true;
}

size_t keeper_tickets_answer(struct keeper_tickets *tickets, uint8_t out[TICKET_BODY_MAX])
{
	size_t len = 0;

	pthread_mutex_lock(&tickets->lock);
	if (bring_up_to_date(tickets))
		len = ticket_keys_encode(out, &tickets->keys);
	pthread_mutex_unlock(&tickets->lock);
	return len;
}
