/* certify - see certify.h.
 * Items are handled strictly in their order: those that need no files as soon as it is their turn, the others when theirs come.
 */
#include "frontend/certify.h"
#include "frontend/book_write.h"
#include "frontend/certificate.h"
#include "frontend/tls.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE_BY_SIDE 16 /* certificates for one name */
#define AHEAD        4  /* items asked for and not yet answered; 3 descriptors each */

struct certify {
	const struct config *config;
	const struct certificate_list *list;
	const struct book *old;
	struct config_faults *faults;
	struct book_writer *writer;
	int64_t now;
	uint32_t asked, added; /* items below were asked for, if they need it; are in the book */
	uint32_t waiting;
	uint32_t *by_place, places; /* of a renewal: see sort_old() */
	struct certify_refusal *refusals;
	size_t refused;
	bool failed; /* no memory */
};

/* One item while it is judged. */
struct trial {
	struct certify *certify;
	const struct certificate_item *item;
	struct config_faults faults;
	struct certificate *certificate;
	struct book_entry entry;
	uint8_t *staple;
};

/* ---- which items need their files ---- */

/* An entry of the old book that nothing has changed. A reload wants to know again what is wrong with a bad one. */
static bool is_same(const struct certify *certify, const struct certificate_item *item)
{
	struct book_entry entry;

	if (certify->old == NULL || item->same >= book_count(certify->old))
		return false;
	book_entry(certify->old, item->same, &entry);
	return certify->list->mode == CERTIFICATE_RENEWAL || (entry.flags & BOOK_BAD) == 0;
}

static int compare_places(uint32_t set, const char *path, const struct book_entry *entry)
{
	if (set != entry->set)
		return set < entry->set ? -1 : 1;
	return strcmp(path, entry->path);
}

static int compare_old(const void *a, const void *b, void *book)
{
	struct book_entry x, y;

	book_entry(book, *(const uint32_t *)a, &x);
	book_entry(book, *(const uint32_t *)b, &y);
	return compare_places(x.set, x.path, &y);
}

/* The old entries in the order of set and path: a renewal of thousands looks for thousands. */
static bool sort_old(struct certify *certify)
{
	uint32_t count = certify->old != NULL ? book_count(certify->old) : 0;

	if (certify->list->mode != CERTIFICATE_RENEWAL || count == 0)
		return true;
	certify->by_place = reallocarray(NULL, count, sizeof(*certify->by_place));
	if (certify->by_place == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++)
		certify->by_place[i] = i;
	qsort_r(certify->by_place, count, sizeof(*certify->by_place), compare_old,
		(void *)(uintptr_t)certify->old);
	certify->places = count;
	return true;
}

/* Of a renewal: the entry that an item had, of the same set and chain. */
static bool find_old(const struct certify *certify, const struct certificate_item *item,
		     struct book_entry *out)
{
	uint32_t low = 0, high = certify->places;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order;

		book_entry(certify->old, certify->by_place[middle], out);
		order = compare_places(item->set, item->chain, out);
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* ---- judging ---- */

static struct certificate_judge judge_of(struct trial *trial, const char *path)
{
	return (struct certificate_judge) {
		.faults = &trial->faults,
		.place = { trial->item->file, (int)trial->item->line },
		.path = path,
		.now = trial->certify->now,
		.expired_ok = trial->certify->list->mode == CERTIFICATE_RELOAD,
	};
}

static const struct profile *profile_of(const struct trial *trial, size_t listener)
{
	const struct config_listener *config = &trial->certify->config->listeners.items[listener];

	return (uint32_t)config->set == trial->item->set ? profile_find(config->profile) : NULL;
}

/* Whether an earlier listener has the same one. */
static bool profile_seen(const struct trial *trial, size_t listener, const struct profile *profile)
{
	for (size_t i = 0; i < listener; i++)
		if (profile_of(trial, i) == profile)
			return true;
	return false;
}

/* By the rules of each profile that it is shown under; then the TLS library has its say. */
static void judge_by_profiles(struct trial *trial, const struct certificate_judge *judge)
{
	char why[256];

	for (size_t i = 0; i < trial->certify->config->listeners.count; i++) {
		const struct profile *profile = profile_of(trial, i);
		size_t before = trial->faults.errors;
		struct tls_context *context;

		if (profile == NULL || profile_seen(trial, i, profile))
			continue;
		if (profile->min < PROFILE_TLS12)
			trial->entry.flags |= BOOK_ALLOW_TLS11;
		certificate_check_profile(trial->certificate, profile, judge);
		if (trial->faults.errors > before)
			continue;
		context =
			tls_context_server(&(struct tls_server_settings) { .profile = profile,
									   .certificate =
										   &trial->entry },
					   why);
		if (context == NULL)
			certificate_fault(judge, false, "%s", why);
		tls_context_drop(context);
	}
}

static void judge_chain(struct trial *trial, const void *pem, size_t len)
{
	const struct certificate_judge judge = judge_of(trial, trial->item->chain);
	char why[256];

	trial->certificate = certificate_read(pem, len, why);
	if (trial->certificate == NULL) {
		certificate_fault(&judge, false, "%s", why);
		return;
	}
	certificate_describe(trial->certificate, &trial->entry);
	certificate_check(trial->certificate, &judge);
	judge_by_profiles(trial, &judge);
}

/* Puts it into the entry when it is fit to be sent. */
static bool judge_staple(struct trial *trial, const void *der, size_t len, char why[256])
{
	struct certificate_staple staple;

	if (trial->certificate == NULL ||
	    !certificate_staple(trial->certificate, der, len, trial->certify->now, &staple, why))
		return false;
	trial->entry.staple = (struct span) { der, len };
	trial->entry.this_update = staple.this_update;
	trial->entry.next_update = staple.next_update;
	return true;
}

/* Of a renewal: while a new response cannot be used, the one before may still do. */
static void keep_old_staple(struct trial *trial)
{
	struct book_entry old;
	char why[256];

	if (trial->entry.staple.len == 0 && trial->certificate != NULL &&
	    find_old(trial->certify, trial->item, &old) && old.staple.len > 0)
		judge_staple(trial, old.staple.data, old.staple.len, why);
}

static void warn_of_must_staple(struct trial *trial)
{
	const struct certificate_judge judge = judge_of(trial, trial->item->chain);

	if ((trial->entry.flags & BOOK_MUST_STAPLE) != 0 && trial->entry.staple.len == 0)
		certificate_fault(
			&judge, true,
			"the certificate demands an OCSP response (must-staple), and there "
			"is none to send: clients that heed it will refuse to connect");
}

/* ---- files ---- */

/* All of a file, for free(); NULL and why. */
static uint8_t *read_file(int fd, size_t *len, char why[256])
{
	struct stat status;
	uint8_t *data;
	ssize_t got = -1;

	*len = 0;
	if (fstat(fd, &status) < 0 || status.st_size > (off_t)CERTIFY_FILE_MAX) {
		snprintf(why, 256, "it is larger than %u octets", CERTIFY_FILE_MAX);
		return NULL;
	}
	data = malloc((size_t)status.st_size + 1);
	if (data != NULL)
		while ((got = pread(fd, data + *len, (size_t)status.st_size - *len, (off_t)*len)) >
		       0)
			*len += (size_t)got;
	if (got == 0)
		return data;
	snprintf(why, 256, "it cannot be read: %s", strerror(errno));
	if (data != NULL)
		explicit_bzero(data, *len); /* it may be half a key */
	free(data);
	return NULL;
}

/* The file of that part, or NULL, with a fault where there is something to say. */
static uint8_t *read_part(struct trial *trial, const struct certificate_files *files,
			  enum certificate_part part, const char *path, size_t *len)
{
	const struct certificate_judge judge = judge_of(trial, path);
	bool harmless = part == CERTIFICATE_STAPLE;
	uint8_t *data = NULL;
	char why[256];

	if (files->fds[part] >= 0)
		data = read_file(files->fds[part], len, why);
	else
		snprintf(why, sizeof(why), "it cannot be opened: %s",
			 files->why[part] != NULL ? files->why[part] : "no reason given");
	if (data == NULL)
		certificate_fault(&judge, harmless, "%s", why);
	return data;
}

static void read_chain(struct trial *trial, const struct certificate_files *files)
{
	size_t len;
	uint8_t *data = read_part(trial, files, CERTIFICATE_CHAIN, trial->item->chain, &len);

	if (data == NULL)
		return;
	judge_chain(trial, data, len);
	explicit_bzero(data, len); /* some keep the key in the same file */
	free(data);
}

static void read_key(struct trial *trial, const struct certificate_files *files)
{
	const struct certificate_judge judge = judge_of(trial, trial->item->key);
	size_t len;
	uint8_t *data;

	if (certificate_is_token(trial->item->key)) {
		trial->entry.flags |= BOOK_TOKEN;
		trial->entry.key_source = trial->item->key;
		if (trial->certificate != NULL && trial->entry.kind == BOOK_ED25519)
			certificate_fault(&judge, false,
					  "a key of Ed25519 cannot be used in a token");
		return;
	}
	data = read_part(trial, files, CERTIFICATE_KEY, trial->item->key, &len);
	if (data == NULL)
		return;
	if (trial->certificate != NULL)
		certificate_check_key(trial->certificate, data, len, &judge);
	explicit_bzero(data, len);
	free(data);
}

/* From a file, or as the monitor has fetched it. One that cannot be used is a warning: it is not sent, and all else goes on. */
static void read_staple(struct trial *trial, const struct certificate_files *files)
{
	const char *path =
		trial->item->staple[0] != '\0' ? trial->item->staple : trial->item->chain;
	const struct certificate_judge judge = judge_of(trial, path);
	char why[256] = "";
	size_t len;

	if (trial->item->staple[0] == '\0' && files->fds[CERTIFICATE_STAPLE] < 0)
		return;
	trial->staple = read_part(trial, files, CERTIFICATE_STAPLE, path, &len);
	if (trial->staple == NULL || trial->certificate == NULL)
		return;
	if (!judge_staple(trial, trial->staple, len, why))
		certificate_fault(&judge, true, "the OCSP response is not sent: %s", why);
}

/* ---- into the book ---- */

static void trial_begin(struct trial *trial, struct certify *certify, uint32_t index)
{
	const struct certificate_item *item = &certify->list->items[index];

	*trial = (struct trial) {
		.certify = certify,
		.item = item,
		.entry = {
			.set = item->set,
			.file = item->file,
			.line = item->line,
			.path = item->chain,
		},
	};
}

static void trial_end(struct trial *trial)
{
	certificate_free(trial->certificate);
	free(trial->staple);
	config_faults_cleanup(&trial->faults);
}

static void refuse(struct certify *certify, uint32_t index, const struct config_faults *faults)
{
	struct certify_refusal *all =
		reallocarray(certify->refusals, certify->refused + 1, sizeof(*all));
	const char *first = "";

	for (size_t i = 0; i < faults->count; i++)
		if (!faults->items[i].warning && first[0] == '\0')
			first = faults->items[i].text;
	if (all == NULL) {
		certify->failed = true;
		return;
	}
	certify->refusals = all;
	all[certify->refused].index = index;
	all[certify->refused].why = strdup(first);
	if (all[certify->refused].why == NULL)
		certify->failed = true;
	else
		certify->refused++;
}

static void pass_on(struct certify *certify, const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		config_fault(certify->faults, faults->items[i].warning, faults->items[i].file,
			     faults->items[i].line, "%s", faults->items[i].text);
}

static void add(struct certify *certify, const struct book_entry *entry)
{
	const struct certificate_item *item = &certify->list->items[certify->added];
	struct book_entry placed = *entry;

	placed.set = item->set;
	placed.file = item->file;
	placed.line = item->line;
	placed.path = item->chain;
	if (!book_writer_add(certify->writer, &placed, item->is_default))
		certify->failed = true;
	certify->added++;
}

/* What the trial has found; of a renewal what was before, where that will not do. */
static void add_tried(struct certify *certify, struct trial *trial)
{
	struct book_entry old;

	if (trial->faults.errors == 0) {
		pass_on(certify, &trial->faults);
		add(certify, &trial->entry);
		return;
	}
	if (certify->list->mode == CERTIFICATE_RENEWAL)
		refuse(certify, certify->added, &trial->faults);
	else
		pass_on(certify, &trial->faults);
	if (!find_old(certify, trial->item, &old))
		old = (struct book_entry) { .flags = BOOK_BAD };
	add(certify, &old);
}

/* A reload may show it under another profile, and time has passed. */
static void judge_again(struct certify *certify, const struct book_entry *old)
{
	struct trial trial;
	char why[256];

	trial_begin(&trial, certify, certify->added);
	trial.entry.flags = old->flags & BOOK_TOKEN;
	trial.entry.key_source = old->key_source;
	judge_chain(&trial, old->chain.data, old->chain.len);
	if (old->staple.len > 0)
		judge_staple(&trial, old->staple.data, old->staple.len, why);
	warn_of_must_staple(&trial);
	add_tried(certify, &trial);
	trial_end(&trial);
}

/* The items whose turn it is and that need no files. */
static void add_same(struct certify *certify)
{
	while (certify->added < certify->list->count) {
		const struct certificate_item *item = &certify->list->items[certify->added];
		struct book_entry old;

		if (!is_same(certify, item))
			return;
		book_entry(certify->old, item->same, &old);
		if (certify->list->mode == CERTIFICATE_RENEWAL)
			add(certify, &old);
		else
			judge_again(certify, &old);
	}
}

/* ---- for the owner ---- */

struct certify *certify_new(const struct config *config, const struct certificate_list *list,
			    const struct book *old, struct config_faults *faults)
{
	struct certify *certify = calloc(1, sizeof(*certify));

	if (certify == NULL)
		return NULL;
	*certify = (struct certify) {
		.config = config,
		.list = list,
		.old = old,
		.faults = faults,
		.writer = book_writer_new(),
		.now = time(NULL),
	};
	if (certify->writer == NULL || !sort_old(certify)) {
		certify_free(certify);
		return NULL;
	}
	add_same(certify);
	return certify;
}

void certify_free(struct certify *certify)
{
	if (certify == NULL)
		return;
	for (size_t i = 0; i < certify->refused; i++)
		free(certify->refusals[i].why);
	free(certify->refusals);
	free(certify->by_place);
	book_writer_free(certify->writer);
	free(certify);
}

bool certify_want(struct certify *certify, uint32_t *index)
{
	if (certify->waiting >= AHEAD)
		return false;
	while (certify->asked < certify->list->count) {
		*index = certify->asked++;
		if (is_same(certify, &certify->list->items[*index]))
			continue;
		certify->waiting++;
		return true;
	}
	return false;
}

bool certify_take(struct certify *certify, struct certificate_files *files)
{
	bool expected = certify->waiting > 0 && files->index == certify->added;
	struct trial trial;

	if (expected) {
		certify->waiting--;
		trial_begin(&trial, certify, files->index);
		read_chain(&trial, files);
		read_key(&trial, files);
		read_staple(&trial, files);
		keep_old_staple(&trial);
		warn_of_must_staple(&trial);
		add_tried(certify, &trial);
		trial_end(&trial);
		add_same(certify);
	}
	certificate_files_close(files);
	return expected;
}

bool certify_done(const struct certify *certify)
{
	return certify->added == certify->list->count;
}

/* Whether a listener with certificates of that set speaks what a token's key does not. */
static bool serves_old_clients(const struct certify *certify, uint32_t set)
{
	const struct config *config = certify->config;

	for (size_t i = 0; i < config->listeners.count; i++) {
		const struct config_listener *listener = &config->listeners.items[i];

		if ((uint32_t)listener->set == set &&
		    profile_find(listener->profile)->min < PROFILE_TLS13)
			return true;
	}
	return false;
}

/* The first of several is told of. */
static bool is_alone(const struct book *book, uint32_t index, uint32_t set, const char *name)
{
	uint32_t found[SIDE_BY_SIDE];
	size_t count = book_find(book, set, name, found, SIDE_BY_SIDE);

	for (size_t i = 0; i < count; i++) {
		struct book_entry entry;

		book_entry(book, found[i], &entry);
		if (!(entry.flags & BOOK_TOKEN))
			return false;
	}
	return count > 0 && found[0] == index;
}

static void warn_of_tokens(const struct certify *certify, const struct book *book)
{
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;
		const char *name = NULL;

		book_entry(book, i, &entry);
		if (!(entry.flags & BOOK_TOKEN) || !serves_old_clients(certify, entry.set))
			continue;
		while ((name = book_next_name(&entry, name)) != NULL)
			if (is_alone(book, i, entry.set, name))
				config_fault(certify->faults, true, entry.file, (int)entry.line,
					     "%s: its only key is in a token, which serves TLS 1.3 "
					     "alone: clients of TLS 1.2 will be refused",
					     name);
	}
}

static int finish_book(struct certify *certify)
{
	int fd = book_writer_finish(certify->writer);
	struct book *book = fd >= 0 ? book_map(fd) : NULL;

	if (book != NULL && certify->list->mode != CERTIFICATE_RENEWAL)
		warn_of_tokens(certify, book);
	book_drop(book);
	return fd;
}

int certify_finish(struct certify *certify)
{
	int fd = certify->failed ? -1 : finish_book(certify);

	if (fd < 0)
		config_fault(certify->faults, false, "-", 0, "no memory for the certificates");
	return fd;
}

size_t certify_refusals(const struct certify *certify, const struct certify_refusal **out)
{
	*out = certify->refusals;
	return certify->refused;
}
