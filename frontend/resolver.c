/* resolver - see resolver.h. getaddrinfo() may take as long as it likes (nsswitch, /etc/hosts, DNS, LDAP), hence the thread. */
#include "frontend/resolver.h"
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct question {
	STAILQ_ENTRY(question) next;
	char *host;
	int port;
	bool forgotten; /* nobody wants its answer any more */
	struct resolver_answer answer;
};

STAILQ_HEAD(questions, question);

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct questions asked, answered;
	struct question *looking; /* the thread is at it; NULL: at none */
	size_t waiting;           /* asked and not yet handed out */
	unsigned users;           /* the loop and the thread: the last one frees */
	bool ended;
	struct ev_loop *loop;
	ev_async ready;
	void (*handler)(void *, const struct resolver_answer *);
	void *owner;
};

int resolver_look_up(const char *host, int port, struct address *out, size_t *count)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char service[16];
	int code;

	*count = 0;
	snprintf(service, sizeof(service), "%d", port);
	code = getaddrinfo(host, service, &hints, &list);
	if (code != 0)
		return code;
	for (const struct addrinfo *one = list; one && *count < CONFIG_SERVERS_MAX;
	     one = one->ai_next) {
		struct address *address = &out[*count];

		if (one->ai_addrlen > sizeof(address->u))
			continue;
		memcpy(&address->u, one->ai_addr, one->ai_addrlen);
		address->len = one->ai_addrlen;
		++*count;
	}
	freeaddrinfo(list);
	return 0;
}

static void look_up(struct question *q)
{
	struct resolver_answer *answer = &q->answer;
	int code = resolver_look_up(q->host, q->port, answer->addresses, &answer->count);

	if (code != 0)
		answer->error = gai_strerror(code);
}

static void question_free(struct question *q)
{
	free(q->host);
	free(q);
}

static size_t free_all(struct questions *list)
{
	size_t count = 0;

	while (!STAILQ_EMPTY(list)) {
		struct question *q = STAILQ_FIRST(list);

		STAILQ_REMOVE_HEAD(list, next);
		question_free(q);
		count++;
	}
	return count;
}

/* With the lock, which is gone afterwards. */
static void leave(struct resolver *r)
{
	bool last = --r->users == 0;

	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	free_all(&r->asked);
	free_all(&r->answered);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void *run(void *argument)
{
	struct resolver *r = argument;

	pthread_mutex_lock(&r->lock);
	while (!r->ended) {
		struct question *q = STAILQ_FIRST(&r->asked);

		if (q == NULL) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		STAILQ_REMOVE_HEAD(&r->asked, next);
		r->looking = q;
		pthread_mutex_unlock(&r->lock);
		look_up(q);
		pthread_mutex_lock(&r->lock);
		r->looking = NULL;
		STAILQ_INSERT_TAIL(&r->answered, q, next);
		if (!r->ended)
			ev_async_send(r->loop, &r->ready);
	}
	leave(r);
	return NULL;
}

static void hand_out(struct ev_loop *loop, ev_async *async, int events)
{
	struct resolver *r = async->data;
	struct questions answered = STAILQ_HEAD_INITIALIZER(answered);

	pthread_mutex_lock(&r->lock);
	STAILQ_CONCAT(&answered, &r->answered);
	pthread_mutex_unlock(&r->lock);
	while (!STAILQ_EMPTY(&answered)) {
		struct question *q = STAILQ_FIRST(&answered);

		STAILQ_REMOVE_HEAD(&answered, next);
		r->waiting--;
		if (!q->forgotten)
			r->handler(r->owner, &q->answer);
		question_free(q);
	}
}

/* All signals stay with the loop's thread. */
static int start_thread(struct resolver *r)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_detach(r->thread);
	return error;
}

struct resolver *resolver_new(struct ev_loop *loop,
			      void (*answered)(void *, const struct resolver_answer *), void *owner)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->loop = loop;
	r->handler = answered;
	r->owner = owner;
	r->users = 2;
	STAILQ_INIT(&r->asked);
	STAILQ_INIT(&r->answered);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	ev_async_init(&r->ready, hand_out);
	r->ready.data = r;
	ev_async_start(loop, &r->ready);
	if (start_thread(r) == 0)
		return r;
	ev_async_stop(loop, &r->ready);
	pthread_mutex_lock(&r->lock);
	r->users = 1;
	leave(r);
	return NULL;
}

void resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	ev_async_stop(r->loop, &r->ready);
	pthread_cond_signal(&r->wake);
	leave(r);
}

void resolver_forget(struct resolver *r)
{
	pthread_mutex_lock(&r->lock);
	r->waiting -= free_all(&r->asked) + free_all(&r->answered);
	if (r->looking != NULL)
		r->looking->forgotten = true;
	pthread_mutex_unlock(&r->lock);
}

int resolver_ask(struct resolver *r, uint64_t id, const char *host, int port)
{
	struct question *q = r->waiting < RESOLVER_WAITING_MAX ? calloc(1, sizeof(*q)) : NULL;

	if (q == NULL)
		return -1;
	q->host = strdup(host);
	if (q->host == NULL) {
		free(q);
		return -1;
	}
	q->port = port;
	q->answer.id = id;
	r->waiting++;
	pthread_mutex_lock(&r->lock);
	STAILQ_INSERT_TAIL(&r->asked, q, next);
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	return 0;
}
