/* keeper_fetch - see keeper_fetch.h. A few files are asked for ahead; the answers come in the order of the questions. */
#include "frontend/keeper_fetch.h"
#include "frontend/certificate_message.h"
#include "frontend/control.h"
#include "frontend/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define AHEAD        16
#define KEY_FILE_MAX 65536

struct job {
	STAILQ_ENTRY(job) link;
	struct keeper_task task;
	bool aborted;
	uint32_t next; /* key of the book to look at */
};

struct keeper_fetch {
	struct channel *supervisor;
	struct keeper_keys *keys;
	void (*done)(void *owner, struct keeper_task *);
	void *owner;
	STAILQ_HEAD(, job) jobs; /* the first is under way */
	unsigned asked;          /* files that have not come yet; all for the first */
};

void keeper_task_cleanup(struct keeper_task *task)
{
	book_drop(task->book);
	config_free(task->config);
	*task = (struct keeper_task) { 0 };
}

struct keeper_fetch *keeper_fetch_new(struct channel *supervisor, struct keeper_keys *keys,
				      void (*done)(void *owner, struct keeper_task *), void *owner)
{
	struct keeper_fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL)
		return NULL;
	fetch->supervisor = supervisor;
	fetch->keys = keys;
	fetch->done = done;
	fetch->owner = owner;
	STAILQ_INIT(&fetch->jobs);
	return fetch;
}

static void drop_first(struct keeper_fetch *fetch)
{
	struct job *job = STAILQ_FIRST(&fetch->jobs);

	STAILQ_REMOVE_HEAD(&fetch->jobs, link);
	keeper_task_cleanup(&job->task);
	free(job);
}

void keeper_fetch_free(struct keeper_fetch *fetch)
{
	if (fetch == NULL)
		return;
	while (!STAILQ_EMPTY(&fetch->jobs))
		drop_first(fetch);
	free(fetch);
}

/* ---- asking ---- */

static bool ask(struct keeper_fetch *fetch, uint32_t index)
{
	struct message_writer message;
	bool sent;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_WANT);
	certificate_put_want(&message, index);
	sent = message_end(&message, 0) && channel_send(fetch->supervisor, &message, NULL, 0) == 0;
	message_writer_cleanup(&message);
	fetch->asked += sent;
	return sent;
}

static bool ask_ahead(struct keeper_fetch *fetch, struct job *job)
{
	const struct book *book = job->task.book;
	uint32_t count = book && !job->aborted ? book_key_count(book) : 0;

	for (; job->next < count && fetch->asked < AHEAD; job->next++)
		if (!book_key_in_token(book, job->next) &&
		    !keeper_keys_has(fetch->keys, book_key(book, job->next)) &&
		    !ask(fetch, book_key_entry(book, job->next)))
			return false;
	return true;
}

/* Until files must be waited for. */
static bool go_on(struct keeper_fetch *fetch)
{
	struct job *job;

	while ((job = STAILQ_FIRST(&fetch->jobs)) != NULL) {
		if (!ask_ahead(fetch, job))
			return false;
		if (fetch->asked > 0)
			return true;
		if (!job->aborted)
			fetch->done(fetch->owner, &job->task);
		drop_first(fetch);
	}
	return true;
}

bool keeper_fetch_add(struct keeper_fetch *fetch, const struct keeper_task *task)
{
	struct job *job = calloc(1, sizeof(*job));
	bool first = STAILQ_EMPTY(&fetch->jobs);

	if (job == NULL) {
		struct keeper_task lost = *task;

		keeper_task_cleanup(&lost);
		return false;
	}
	job->task = *task;
	STAILQ_INSERT_TAIL(&fetch->jobs, job, link);
	return !first || go_on(fetch);
}

static struct job *find_prepare(const struct keeper_fetch *fetch, uint32_t generation)
{
	struct job *job;

	STAILQ_FOREACH(job, &fetch->jobs, link)
	if (job->task.config && !job->aborted && job->task.generation == generation)
		break;
	return job;
}

bool keeper_fetch_is_idle(const struct keeper_fetch *fetch)
{
	return STAILQ_EMPTY(&fetch->jobs);
}

bool keeper_fetch_prepares(const struct keeper_fetch *fetch, uint32_t generation)
{
	return find_prepare(fetch, generation) != NULL;
}

void keeper_fetch_abort(struct keeper_fetch *fetch, uint32_t generation)
{
	struct job *job = find_prepare(fetch, generation);

	if (job != NULL)
		job->aborted = true;
}

/* ---- getting ---- */

static void log_missing(const struct book_entry *entry, const char *why)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_ERROR, "key_missing", 0);
	log_value(&line, "name", span_of(entry->name));
	log_value(&line, "chain", span_of(entry->path));
	log_text(&line, "reason", why);
	log_end(&line);
}

/* The whole of a file, at most KEY_FILE_MAX octets; -1 with a reason. */
static ssize_t read_file(int fd, uint8_t *out, char why[256])
{
	size_t len = 0;

	while (len < KEY_FILE_MAX) {
		ssize_t got = pread(fd, out + len, KEY_FILE_MAX - len, (off_t)len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			snprintf(why, 256, "the key cannot be read: %s", strerror(errno));
			return -1;
		}
		if (got == 0)
			return (ssize_t)len;
		len += (size_t)got;
	}
	snprintf(why, 256, "the file of the key is larger than %d octets", KEY_FILE_MAX);
	return -1;
}

static struct key *key_of_file(int fd, char why[256])
{
	uint8_t *pem = malloc(KEY_FILE_MAX);
	struct key *key = NULL;
	ssize_t len;

	snprintf(why, 256, "out of memory");
	if (pem == NULL)
		return NULL;
	len = read_file(fd, pem, why);
	if (len >= 0)
		key = key_from_pem(pem, (size_t)len, why);
	explicit_bzero(pem, KEY_FILE_MAX);
	free(pem);
	return key;
}

static bool key_take(struct keeper_fetch *fetch, const struct book_entry *entry,
		     const struct certificate_files *files, char why[256])
{
	uint8_t id[KEY_ID_LEN];
	struct key *key;

	if (files->fds[CERTIFICATE_KEY] < 0) {
		snprintf(why, 256, "%s",
			 files->why[CERTIFICATE_KEY] ? files->why[CERTIFICATE_KEY] : "no file");
		return false;
	}
	key = key_of_file(files->fds[CERTIFICATE_KEY], why);
	if (key == NULL)
		return false;
	key_spki_hash(key, id);
	if (memcmp(id, entry->spki, KEY_ID_LEN) == 0) {
		snprintf(why, 256, "out of memory");
		return keeper_keys_add(fetch->keys, key);
	}
	snprintf(why, 256, "the key does not belong to the certificate");
	key_free(key);
	return false;
}

bool keeper_fetch_files(struct keeper_fetch *fetch, struct message_reader *message, int *fds,
			size_t nfds)
{
	struct job *job = STAILQ_FIRST(&fetch->jobs);
	struct certificate_files files;
	struct book_entry entry;
	char why[256];

	if (fetch->asked == 0 || !certificate_get_files(message, fds, nfds, &files))
		return false;
	fetch->asked--;
	if (files.index >= book_count(job->task.book)) {
		certificate_files_close(&files);
		return false;
	}
	book_entry(job->task.book, files.index, &entry);
	if (!job->aborted && !key_take(fetch, &entry, &files, why) && !job->task.again)
		log_missing(&entry, why);
	certificate_files_close(&files);
	return go_on(fetch);
}
