/* contexts - see contexts.h. A list in order of use; it is short, and looked through once for a handshake. */
#include "frontend/contexts.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

struct cached {
	TAILQ_ENTRY(cached) of_use;
	unsigned class;
	uint32_t entry;
	struct tls_context *context;
};

struct contexts {
	TAILQ_HEAD(cached_list, cached) by_use; /* the last used first */
	unsigned count;
};

struct contexts *contexts_new(void)
{
	struct contexts *contexts = calloc(1, sizeof(*contexts));

	if (contexts != NULL)
		TAILQ_INIT(&contexts->by_use);
	return contexts;
}

static void forget(struct contexts *contexts, struct cached *cached)
{
	TAILQ_REMOVE(&contexts->by_use, cached, of_use);
	contexts->count--;
	tls_context_drop(cached->context);
	free(cached);
}

void contexts_clear(struct contexts *contexts)
{
	for (struct cached *cached = TAILQ_FIRST(&contexts->by_use), *next; cached != NULL;
	     cached = next) {
		next = TAILQ_NEXT(cached, of_use);
		forget(contexts, cached);
	}
}

void contexts_free(struct contexts *contexts)
{
	if (contexts == NULL)
		return;
	contexts_clear(contexts);
	free(contexts);
}

static struct cached *find(struct contexts *contexts, unsigned class, uint32_t entry)
{
	struct cached *cached = TAILQ_FIRST(&contexts->by_use);

	while (cached != NULL && (cached->class != class || cached->entry != entry))
		cached = TAILQ_NEXT(cached, of_use);
	return cached;
}

static struct cached *make(const struct tls_server_settings *settings, char text[256])
{
	struct cached *cached = calloc(1, sizeof(*cached));

	snprintf(text, 256, "out of memory");
	if (cached == NULL)
		return NULL;
	cached->context = tls_context_server(settings, text);
	if (cached->context != NULL)
		return cached;
	free(cached);
	return NULL;
}

struct tls_context *contexts_get(struct contexts *contexts, unsigned class, uint32_t entry,
				 const struct tls_server_settings *settings, char text[256])
{
	struct cached *cached = find(contexts, class, entry);

	if (cached != NULL) {
		TAILQ_REMOVE(&contexts->by_use, cached, of_use);
	} else {
		cached = make(settings, text);
		if (cached == NULL)
			return NULL;
		if (contexts->count == CONTEXTS_MAX)
			forget(contexts, TAILQ_LAST(&contexts->by_use, cached_list));
		cached->class = class;
		cached->entry = entry;
		contexts->count++;
	}
	TAILQ_INSERT_HEAD(&contexts->by_use, cached, of_use);
	return cached->context;
}
