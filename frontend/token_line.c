/* token_line - see token_line.h. */
#include "frontend/token_line.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct job {
	STAILQ_ENTRY(job) link;
	struct token_key key;
	struct token_peer *peer;
	uint32_t sequence;
	size_t len;
	uint8_t input[KEEPER_INPUT_MAX];
};

struct token_line {
	struct token_module *module;
	unsigned long slot;
	const struct token_line_handlers *handlers;
	void *owner;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t news;
	STAILQ_HEAD(, job) jobs;
	unsigned count;
	bool ended;
	struct thread {
		struct token_line *line;
		pthread_t id;
		unsigned long session;
	} threads[TOKEN_LINE_THREADS];
	unsigned running;
};

static void job_free(struct job *job)
{
	explicit_bzero(job, sizeof(*job));
	free(job);
}

static void answer(struct token_line *line, const struct job *job, enum keeper_status status,
		   const uint8_t *output, size_t len)
{
	const struct keeper_answer made = { .sequence = job->sequence,
					    .status = status,
					    .output = { (const char *)output, len } };

	line->handlers->answer(job->peer, &made);
}

static void do_job(struct thread *thread, const struct job *job)
{
	uint8_t out[KEY_SIGNATURE_MAX];
	size_t len = 0;
	enum token_result result =
		token_sign(&job->key, thread->session, job->input, job->len, out, &len);

	answer(thread->line, job, result == TOKEN_SIGNED ? KEEPER_DONE : KEEPER_FAILED, out,
	       result == TOKEN_SIGNED ? len : 0);
	if (result == TOKEN_LOST)
		thread->line->handlers->lost(thread->line->owner);
}

/* NULL: the line ends. */
static struct job *next_job(struct token_line *line)
{
	struct job *job = NULL;

	pthread_mutex_lock(&line->lock);
	while (!line->ended && STAILQ_EMPTY(&line->jobs))
		pthread_cond_wait(&line->news, &line->lock);
	if (!line->ended) {
		job = STAILQ_FIRST(&line->jobs);
		STAILQ_REMOVE_HEAD(&line->jobs, link);
		line->count--;
	}
	pthread_mutex_unlock(&line->lock);
	return job;
}

static void *work(void *arg)
{
	struct thread *thread = arg;
	struct job *job;

	while ((job = next_job(thread->line)) != NULL) {
		do_job(thread, job);
		job_free(job);
	}
	return NULL;
}

/* A token with few sessions has fewer threads. */
static void start_threads(struct token_line *line)
{
	while (line->running < TOKEN_LINE_THREADS) {
		struct thread *thread = &line->threads[line->running];

		thread->line = line;
		if (!token_session_open(line->module, line->slot, &thread->session))
			return;
		if (pthread_create(&thread->id, NULL, work, thread) != 0) {
			token_session_close(line->module, thread->session);
			return;
		}
		line->running++;
	}
}

struct token_line *token_line_new(struct token_module *module, unsigned long slot,
				  const struct token_line_handlers *handlers, void *owner)
{
	struct token_line *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return NULL;
	line->module = module;
	line->slot = slot;
	line->handlers = handlers;
	line->owner = owner;
	STAILQ_INIT(&line->jobs);
	pthread_mutex_init(&line->lock, NULL);
	pthread_cond_init(&line->news, NULL);
	start_threads(line);
	if (line->running > 0)
		return line;
	token_line_free(line);
	return NULL;
}

void token_line_free(struct token_line *line)
{
	struct job *job;

	if (line == NULL)
		return;
	pthread_mutex_lock(&line->lock);
	line->ended = true;
	pthread_cond_broadcast(&line->news);
	pthread_mutex_unlock(&line->lock);
	for (unsigned i = 0; i < line->running; i++) {
		pthread_join(line->threads[i].id, NULL);
		token_session_close(line->module, line->threads[i].session);
	}
	while ((job = STAILQ_FIRST(&line->jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&line->jobs, link);
		answer(line, job, KEEPER_FAILED, NULL, 0);
		job_free(job);
	}
	pthread_cond_destroy(&line->news);
	pthread_mutex_destroy(&line->lock);
	free(line);
}

bool token_line_add(struct token_line *line, const struct token_key *key, struct token_peer *peer,
		    const struct keeper_request *request)
{
	struct job *job = malloc(sizeof(*job));
	bool taken;

	if (job == NULL)
		return false;
	job->key = *key;
	job->peer = peer;
	job->sequence = request->sequence;
	job->len = request->input.len;
	memcpy(job->input, request->input.data, request->input.len);
	pthread_mutex_lock(&line->lock);
	taken = line->count < TOKEN_LINE_MAX;
	if (taken) {
		STAILQ_INSERT_TAIL(&line->jobs, job, link);
		line->count++;
		pthread_cond_signal(&line->news);
	}
	pthread_mutex_unlock(&line->lock);
	if (!taken)
		job_free(job);
	return taken;
}
