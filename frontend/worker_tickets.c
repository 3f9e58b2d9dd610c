/* worker_tickets - see worker_tickets.h. */
#include "frontend/worker_tickets.h"
#include "frontend/log.h"
#include "frontend/tls_ticket.h"
#include <stdio.h>

#define RETRY_FIRST 0.2 /* seconds, doubling */
#define RETRY_LAST  10.0

/* A key's name is no secret: each ticket bears it in clear. */
static void tell(const struct ticket_keys *keys)
{
	const uint8_t *name = ticket_keys_sealing(keys)->name;
	struct log_line line;
	char text[9];

	snprintf(text, sizeof(text), "%02x%02x%02x%02x", name[0], name[1], name[2], name[3]);
	log_begin(&line, LOG_LEVEL_INFO, "ticket_key", 0);
	log_word(&line, "key", text);
	log_number(&line, "keys", ticket_keys_count(keys));
	log_word(&line, "source", keys->from_file ? "file" : "keeper");
	log_end(&line);
}

static void wipe(struct worker_tickets *tickets)
{
	ticket_keys_wipe(&tickets->keys);
	tls_tickets_use(NULL);
}

static void wait_for(struct worker_tickets *tickets, double seconds)
{
	ev_timer_stop(tickets->loop, &tickets->timer);
	ev_timer_set(&tickets->timer, seconds, 0);
	ev_timer_start(tickets->loop, &tickets->timer);
}

static void take(struct worker_tickets *tickets, const struct ticket_keys *fresh)
{
	struct ticket_keys before = tickets->keys;
	bool other;

	ticket_keys_take(&tickets->keys, fresh);
	other = memcmp(before.keys, tickets->keys.keys, sizeof(before.keys)) != 0;
	ticket_keys_wipe(&before);
	tls_tickets_use(&tickets->keys);
	if (other)
		tell(&tickets->keys);
	tickets->retry = RETRY_FIRST;
	tickets->until = ev_now(tickets->loop) + fresh->wait / 1000.0 + tickets->rotate;
	wait_for(tickets, fresh->wait / 1000.0);
}

void worker_tickets_ask(struct worker_tickets *tickets)
{
	uint8_t body[KEEPER_OUTPUT_MAX];
	struct ticket_keys fresh;
	size_t len;

	if (!tickets->enabled)
		return;
	if (keeper_tickets(tickets->keeper, body, &len) == 0 &&
	    ticket_keys_decode(body, len, &fresh)) {
		take(tickets, &fresh);
		ticket_keys_wipe(&fresh);
	} else {
		if (ev_now(tickets->loop) >= tickets->until)
			wipe(tickets);
		wait_for(tickets, tickets->retry);
		tickets->retry = tickets->retry < RETRY_LAST / 2 ? tickets->retry * 2 : RETRY_LAST;
	}
	explicit_bzero(body, sizeof(body));
}

static void time_has_come(struct ev_loop *loop, ev_timer *timer, int events)
{
	worker_tickets_ask(timer->data);
}

void worker_tickets_init(struct worker_tickets *tickets, struct ev_loop *loop,
			 struct keeper_client *keeper)
{
	*tickets = (struct worker_tickets) { .loop = loop, .keeper = keeper, .retry = RETRY_FIRST };
	ev_timer_init(&tickets->timer, time_has_come, 0, 0);
	tickets->timer.data = tickets;
}

void worker_tickets_cleanup(struct worker_tickets *tickets)
{
	ev_timer_stop(tickets->loop, &tickets->timer);
	wipe(tickets);
}

void worker_tickets_configure(struct worker_tickets *tickets, const struct config *config)
{
	tickets->enabled = config->tls.tickets.enabled;
	tickets->rotate = config->tls.tickets.rotate;
	tickets->retry = RETRY_FIRST;
	if (tickets->enabled)
		worker_tickets_ask(tickets);
	else
		worker_tickets_cleanup(tickets);
}
