/* keeper_keys - see keeper_keys.h. */
#include "frontend/keeper_keys.h"
#include "frontend/keeper_rules.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

struct entry {
	struct entry *next;
	struct key *key;
	uint8_t id[KEY_ID_LEN];
	struct keeper_subject subject;
	double leaves; /* when it is dropped; 0: it stays */
};

struct keeper_keys {
	pthread_rwlock_t lock;
	struct entry *buckets[BUCKETS];
};

struct keeper_keys *keeper_keys_new(void)
{
	struct keeper_keys *keys = calloc(1, sizeof(*keys));
	pthread_rwlockattr_t attributes;

	if (keys == NULL)
		return NULL;
	/* else threads that never stop signing keep a new key out */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&keys->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	return keys;
}

static void entry_free(struct entry *entry)
{
	key_free(entry->key);
	free(entry);
}

void keeper_keys_free(struct keeper_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (keys->buckets[i] != NULL) {
			struct entry *entry = keys->buckets[i];

			keys->buckets[i] = entry->next;
			entry_free(entry);
		}
	}
	pthread_rwlock_destroy(&keys->lock);
	free(keys);
}

/* The id is a digest: any part of it is spread evenly. */
static struct entry **bucket_of(struct keeper_keys *keys, const uint8_t id[KEY_ID_LEN])
{
	return &keys->buckets[(id[0] | id[1] << 8) % BUCKETS];
}

static struct entry *find(struct keeper_keys *keys, const uint8_t id[KEY_ID_LEN])
{
	struct entry *entry = *bucket_of(keys, id);

	while (entry != NULL && memcmp(entry->id, id, KEY_ID_LEN) != 0)
		entry = entry->next;
	return entry;
}

bool keeper_keys_has(struct keeper_keys *keys, const uint8_t id[KEY_ID_LEN])
{
	bool found;

	pthread_rwlock_rdlock(&keys->lock);
	found = find(keys, id) != NULL;
	pthread_rwlock_unlock(&keys->lock);
	return found;
}

bool keeper_keys_add(struct keeper_keys *keys, struct key *key)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	struct entry **bucket;

	if (entry == NULL) {
		key_free(key);
		return false;
	}
	entry->key = key;
	entry->subject = (struct keeper_subject) { key_type(key), key_bits(key), false };
	key_spki_hash(key, entry->id);
	pthread_rwlock_wrlock(&keys->lock);
	if (find(keys, entry->id) == NULL) {
		bucket = bucket_of(keys, entry->id);
		entry->next = *bucket;
		*bucket = entry;
		entry = NULL;
	}
	pthread_rwlock_unlock(&keys->lock);
	if (entry != NULL)
		entry_free(entry);
	return true;
}

/* Per key of the book: whether any entry that uses it is served where TLS 1.1 is spoken. */
static bool *old_tls_of(const struct book *book)
{
	bool *old_tls = calloc((size_t)book_key_count(book) + 1, sizeof(*old_tls));

	for (uint32_t i = 0; old_tls != NULL && i < book_count(book); i++) {
		struct book_entry entry;

		book_entry(book, i, &entry);
		if (!(entry.flags & BOOK_BAD) && (entry.flags & BOOK_ALLOW_TLS11))
			old_tls[entry.key] = true;
	}
	return old_tls;
}

bool keeper_keys_follow(struct keeper_keys *keys, const struct book *book, double now)
{
	bool *old_tls = old_tls_of(book);

	if (old_tls == NULL)
		return false;
	pthread_rwlock_wrlock(&keys->lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct entry *entry = keys->buckets[i]; entry; entry = entry->next) {
			uint32_t number;

			if (book_key_find(book, entry->id, &number)) {
				entry->subject.old_tls = old_tls[number];
				entry->leaves = 0;
			} else if (entry->leaves == 0) {
				entry->leaves = now + KEEPER_KEYS_STAY;
			}
		}
	}
	pthread_rwlock_unlock(&keys->lock);
	free(old_tls);
	return true;
}

/* Moves those of one bucket that are due to *gone; returns the time of the first that is not. */
static double take_due(struct entry **link, double now, struct entry **gone)
{
	double next = 0;

	while (*link != NULL) {
		struct entry *entry = *link;

		if (entry->leaves > 0 && entry->leaves <= now) {
			*link = entry->next;
			entry->next = *gone;
			*gone = entry;
			continue;
		}
		if (entry->leaves > 0 && (next == 0 || entry->leaves < next))
			next = entry->leaves;
		link = &entry->next;
	}
	return next;
}

double keeper_keys_expire(struct keeper_keys *keys, double now)
{
	struct entry *gone = NULL;
	double next = 0;

	pthread_rwlock_wrlock(&keys->lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		double of_bucket = take_due(&keys->buckets[i], now, &gone);

		if (of_bucket > 0 && (next == 0 || of_bucket < next))
			next = of_bucket;
	}
	pthread_rwlock_unlock(&keys->lock);
	while (gone != NULL) {
		struct entry *entry = gone;

		gone = entry->next;
		entry_free(entry);
	}
	return next;
}

static enum keeper_status sign(const struct entry *entry, const struct keeper_request *request,
			       uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len)
{
	const uint8_t *in = (const uint8_t *)request->input.data;

	if (entry == NULL)
		return KEEPER_UNKNOWN;
	if (!keeper_may_sign(&entry->subject, request->algorithm, in, request->input.len,
			     key_digest))
		return KEEPER_REFUSED;
	return key_sign(entry->key, request->algorithm, in, request->input.len, out, out_len) == 0
		       ? KEEPER_DONE
		       : KEEPER_FAILED;
}

enum keeper_status keeper_keys_sign(struct keeper_keys *keys, const struct keeper_request *request,
				    uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len)
{
	enum keeper_status status;

	pthread_rwlock_rdlock(&keys->lock);
	status = sign(find(keys, request->id), request, out, out_len);
	pthread_rwlock_unlock(&keys->lock);
	return status;
}
