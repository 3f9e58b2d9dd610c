/* token_keys - see token_keys.h. */
#include "frontend/token_keys.h"
#include "frontend/keeper_rules.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct library {
	LIST_ENTRY(library) link;
	struct token_module *module;
};

struct line {
	LIST_ENTRY(line) link;
	const struct token_module *module;
	unsigned long slot;
	struct token_line *line;
};

struct entry {
	LIST_ENTRY(entry) link;
	uint8_t id[KEY_ID_LEN];
	char *uri;
	struct keeper_subject subject;
	struct token_key key;
	struct token_line *line;
};

struct token_keys {
	const struct token_line_handlers *handlers;
	void *owner;
	LIST_HEAD(, library) libraries;
	LIST_HEAD(, line) lines;
	LIST_HEAD(, entry) entries;
};

struct token_keys *token_keys_new(const struct token_line_handlers *handlers, void *owner)
{
	struct token_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return NULL;
	keys->handlers = handlers;
	keys->owner = owner;
	LIST_INIT(&keys->libraries);
	LIST_INIT(&keys->lines);
	LIST_INIT(&keys->entries);
	return keys;
}

static void entry_free(struct entry *entry)
{
	free(entry->uri);
	free(entry);
}

void token_keys_free(struct token_keys *keys)
{
	struct library *library, *next_library;
	struct entry *entry, *next_entry;
	struct line *line, *next_line;

	if (keys == NULL)
		return;
	for (entry = LIST_FIRST(&keys->entries); entry != NULL; entry = next_entry) {
		next_entry = LIST_NEXT(entry, link);
		entry_free(entry);
	}
	for (line = LIST_FIRST(&keys->lines); line != NULL; line = next_line) {
		next_line = LIST_NEXT(line, link);
		token_line_free(line->line);
		free(line);
	}
	for (library = LIST_FIRST(&keys->libraries); library != NULL; library = next_library) {
		next_library = LIST_NEXT(library, link);
		token_module_close(library->module);
		free(library);
	}
	free(keys);
}

/* ---- finding ---- */

static struct token_module *module_of(struct token_keys *keys, const char *path, char why[256])
{
	struct library *library;

	LIST_FOREACH (library, &keys->libraries, link)
		if (strcmp(token_module_path(library->module), path) == 0)
			return library->module;
	snprintf(why, 256, "out of memory");
	library = calloc(1, sizeof(*library));
	if (library == NULL)
		return NULL;
	library->module = token_module_open(path, why);
	if (library->module == NULL) {
		free(library);
		return NULL;
	}
	LIST_INSERT_HEAD(&keys->libraries, library, link);
	return library->module;
}

static struct token_line *line_of(struct token_keys *keys, const struct token_key *key)
{
	struct line *line;

	LIST_FOREACH (line, &keys->lines, link)
		if (line->module == key->module && line->slot == key->slot)
			return line->line;
	line = calloc(1, sizeof(*line));
	if (line == NULL)
		return NULL;
	line->module = key->module;
	line->slot = key->slot;
	line->line = token_line_new(key->module, key->slot, keys->handlers, keys->owner);
	if (line->line == NULL) {
		free(line);
		return NULL;
	}
	LIST_INSERT_HEAD(&keys->lines, line, link);
	return line->line;
}

static struct entry *find(struct token_keys *keys, const uint8_t id[KEY_ID_LEN])
{
	struct entry *entry;

	LIST_FOREACH (entry, &keys->entries, link)
		if (memcmp(entry->id, id, KEY_ID_LEN) == 0)
			break;
	return entry;
}

static bool is_there(struct token_keys *keys, const struct book_entry *certificate,
		     const char *module)
{
	const struct entry *entry = find(keys, certificate->spki);

	return entry != NULL && strcmp(entry->uri, certificate->key_source) == 0 &&
	       strcmp(token_module_path(entry->key.module), module) == 0;
}

static bool add(struct token_keys *keys, const struct book_entry *certificate,
		const struct public_key *public, const struct token_key *key)
{
	struct entry *old = find(keys, certificate->spki);
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return false;
	entry->line = line_of(keys, key);
	entry->uri = strdup(certificate->key_source);
	if (entry->line == NULL || entry->uri == NULL) {
		free(entry->uri);
		free(entry);
		return false;
	}
	memcpy(entry->id, certificate->spki, KEY_ID_LEN);
	entry->key = *key;
	entry->subject.type = public_key_type(public);
	entry->subject.bits = public_key_bits(public);
	if (old != NULL) {
		LIST_REMOVE(old, link);
		entry_free(old);
	}
	LIST_INSERT_HEAD(&keys->entries, entry, link);
	return true;
}

static bool fetch_one(struct token_keys *keys, const struct book_entry *certificate,
		      const struct config *config, char why[256])
{
	const struct span pin = { (const char *)config->tls.pkcs11.pin.data,
				  config->tls.pkcs11.pin.len };
	struct public_key *public;
	struct token_module *module;
	struct token_uri uri;
	struct token_key key;
	bool found = false;

	if (!token_uri_parse(certificate->key_source, &uri, why))
		return false;
	module = module_of(keys, config->tls.pkcs11.module, why);
	if (module == NULL)
		return false;
	public = public_key_from_pem((const uint8_t *)certificate->chain.data,
				     certificate->chain.len, why);
	if (public == NULL)
		return false;
	if (token_key_find(module, &uri, pin, public, &key, why)) {
		snprintf(why, 256, "the token takes no further session, or memory is out");
		found = add(keys, certificate, public, &key);
	}
	public_key_free(public);
	return found;
}

bool token_keys_fetch(struct token_keys *keys, const struct book *book, const struct config *config,
		      struct config_faults *faults)
{
	bool all = true;

	for (uint32_t i = 0; i < book_count(book) && config->tls.pkcs11.module != NULL; i++) {
		struct book_entry certificate;
		char why[256];

		book_entry(book, i, &certificate);
		if (!(certificate.flags & BOOK_TOKEN) || (certificate.flags & BOOK_BAD) ||
		    is_there(keys, &certificate, config->tls.pkcs11.module) ||
		    fetch_one(keys, &certificate, config, why))
			continue;
		all = false;
		config_fault(faults, false, certificate.file, (int)certificate.line,
			     "\"key\": %s: %s", certificate.key_source, why);
	}
	return all;
}

void token_keys_retry(struct token_keys *keys)
{
	struct library *library;

	LIST_FOREACH (library, &keys->libraries, link)
		token_module_retry(library->module);
}

void token_keys_sweep(struct token_keys *keys, const struct book *book)
{
	struct entry *entry, *next;
	uint32_t unused;

	for (entry = LIST_FIRST(&keys->entries); entry != NULL; entry = next) {
		next = LIST_NEXT(entry, link);
		if (book_key_find(book, entry->id, &unused))
			continue;
		LIST_REMOVE(entry, link);
		entry_free(entry);
	}
}

/* ---- signing ---- */

enum keeper_status token_keys_sign(struct token_keys *keys, struct token_peer *peer,
				   const struct keeper_request *request)
{
	const struct entry *entry = find(keys, request->id);

	if (request->type != KEEPER_SIGN)
		return KEEPER_REFUSED;
	if (entry == NULL)
		return KEEPER_UNKNOWN;
	if (!keeper_may_sign(&entry->subject, request->algorithm,
			     (const uint8_t *)request->input.data, request->input.len, key_digest))
		return KEEPER_REFUSED;
	return token_line_add(entry->line, &entry->key, peer, request) ? KEEPER_DONE
								       : KEEPER_FAILED;
}
