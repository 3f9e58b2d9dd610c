/* monitor_link - see monitor_link.h. */
#include "frontend/monitor_link.h"
#include "frontend/listener.h"

static void take_pool(struct worker *w, struct message_reader *reader)
{
	struct published_pool word;
	struct listener_set *both[2] = { w->serving, w->prepared };

	if (!publication_get_pool(reader, &word)) {
		log_event(LOG_LEVEL_ERROR, "bug", "the monitor sent a malformed message");
		return;
	}
	for (size_t i = 0; i < 2; i++)
		if (both[i] != NULL && both[i]->generation->number == word.generation)
			generation_publish(both[i]->generation, &word);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	if (type == PUBLICATION_POOL)
		take_pool(channel->owner, reader);
}

static void on_closed(struct channel *channel, const char *why)
{
	channel_cleanup(channel);
}

void monitor_link_init(struct monitor_link *link)
{
	*link = (struct monitor_link) { .channel = { .fd = -1 } };
}

void monitor_link_up(struct monitor_link *link, struct worker *w, unsigned incarnation, int fd)
{
	static const struct channel_handlers handlers = { on_message, on_closed };

	monitor_link_cleanup(link);
	link->incarnation = incarnation;
	if (channel_init(&link->channel, w->loop, fd, WORK_MESSAGE_MAX, WORK_QUEUE_MAX, &handlers,
			 w) != 0)
		link->incarnation = 0;
}

void monitor_link_down(struct monitor_link *link, unsigned incarnation)
{
	if (link->incarnation == incarnation)
		monitor_link_cleanup(link);
}

void monitor_link_cleanup(struct monitor_link *link)
{
	if (link->incarnation != 0)
		channel_cleanup(&link->channel);
	link->incarnation = 0;
}

bool monitor_link_suspect(struct monitor_link *link, const struct published_suspect *suspect)
{
	struct message_writer writer;
	bool sent;

	if (link->incarnation == 0 || !channel_is_open(&link->channel))
		return false;
	message_begin(&writer, WORK_MESSAGE_MAX, PUBLICATION_SUSPECT);
	publication_put_suspect(&writer, suspect);
	sent = message_end(&writer, 0) && channel_send(&link->channel, &writer, NULL, 0) == 0;
	message_writer_cleanup(&writer);
	return sent;
}
