/* extension - see extension.h. */
#include "protocols/extension.h"
#include <stdio.h>

#define SIZE_DIGITS 19 /* RFC 1870 3 allows 20, which would not fit a counter */

static const char *const names[EXTENSIONS] = {
	[EXTENSION_SIZE] = "SIZE",
	[EXTENSION_8BITMIME] = "8BITMIME",
	[EXTENSION_SMTPUTF8] = "SMTPUTF8",
	[EXTENSION_DSN] = "DSN",
	[EXTENSION_CHUNKING] = "CHUNKING",
	[EXTENSION_BINARYMIME] = "BINARYMIME",
	[EXTENSION_ENHANCEDSTATUSCODES] = "ENHANCEDSTATUSCODES",
	[EXTENSION_TOP] = "TOP",
	[EXTENSION_UIDL] = "UIDL",
	[EXTENSION_RESP_CODES] = "RESP-CODES",
};

/* 0 for what is no number of ours: then no limit is known, and none is shown. */
static uint64_t read_size(struct span word)
{
	uint64_t size = 0;

	if (word.len > SIZE_DIGITS)
		return 0;
	for (size_t i = 0; i < word.len; i++) {
		if (word.data[i] < '0' || word.data[i] > '9')
			return 0;
		size = size * 10 + (uint64_t)(word.data[i] - '0');
	}
	return size;
}

void extension_note(struct extension_set *set, unsigned known, struct span line)
{
	struct span word = span_word(&line);

	for (unsigned i = 0; i < EXTENSIONS; i++) {
		if (!(known & 1u << i) || !span_is(word, names[i]))
			continue;
		set->set |= 1u << i;
		if (i == EXTENSION_SIZE)
			set->size = read_size(span_word(&line));
	}
}

struct extension_set extension_meet(struct extension_set a, struct extension_set b)
{
	struct extension_set both = { .set = a.set & b.set };

	if (!(both.set & 1u << EXTENSION_SIZE))
		return both;
	both.size = a.size < b.size ? a.size : b.size;
	if (a.size == 0 || b.size == 0) /* the one that states a limit binds */
		both.size = a.size + b.size;
	return both;
}

bool extension_equal(struct extension_set a, struct extension_set b)
{
	return a.set == b.set && a.size == b.size;
}

void extension_list(struct extension_set set, struct extension_list *list)
{
	size_t count = 0;

	for (unsigned i = 0; i < EXTENSIONS; i++) {
		if (!(set.set & 1u << i))
			continue;
		list->items[count++] = names[i];
		if (i != EXTENSION_SIZE || set.size == 0)
			continue;
		snprintf(list->size, sizeof(list->size), "SIZE %llu", (unsigned long long)set.size);
		list->items[count - 1] = list->size;
	}
	list->items[count] = NULL;
}
