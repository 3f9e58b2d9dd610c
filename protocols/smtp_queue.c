/* smtp_queue - see smtp_queue.h. A ring, because sessions with long pipelines would otherwise move it at each reply. */
#include "protocols/smtp_queue.h"
#include <assert.h>

void smtp_queue_push(struct smtp_queue *queue, struct smtp_owed owed)
{
	assert(queue->count < SMTP_QUEUE_MAX);
	queue->entries[(queue->first + queue->count++) % SMTP_QUEUE_MAX] = owed;
}

const struct smtp_owed *smtp_queue_head(const struct smtp_queue *queue)
{
	return queue->count > 0 ? &queue->entries[queue->first] : NULL;
}

void smtp_queue_pop(struct smtp_queue *queue)
{
	assert(queue->count > 0);
	queue->first = (queue->first + 1) % SMTP_QUEUE_MAX;
	queue->count--;
}

struct smtp_owed *smtp_queue_tail(struct smtp_queue *queue)
{
	return queue->count > 0
		       ? &queue->entries[(queue->first + queue->count - 1) % SMTP_QUEUE_MAX]
		       : NULL;
}

bool smtp_queue_awaits(const struct smtp_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (queue->entries[(queue->first + i) % SMTP_QUEUE_MAX].type != SMTP_OWED_OWN)
			return true;
	return false;
}
