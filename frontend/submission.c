/* submission - the relay that stays aware of commands: moves bytes between two sockets and smtp_relay, which decides.
 * Invariants: when the client vanishes, the backend's connection is cut without another byte, so that no message is completed that
 * the client did not complete. RFC 6409, 5321 4.1.1.4.
 */
#include "frontend/submission.h"
#include "protocols/smtp_relay.h"
#include <stdlib.h>

bool submission_begin(struct session *s, const struct smtp_extensions *met)
{
	struct smtp_relay_settings settings = s->listener->relay;

	s->shown = malloc(sizeof(*s->shown));
	if (s->shown == NULL)
		return false;
	extension_list(s->listener->extensions, s->shown);
	settings.capabilities = s->shown->items;
	s->relay = smtp_relay_new(&settings, met);
	return s->relay != NULL;
}

void submission_farewell(struct session *s, const char *code, const char *text, const char *reason)
{
	char storage[OUTPUT_MAX];
	struct output client;

	output_init(&client, storage, sizeof(storage));
	smtp_relay_farewell(s->relay, code, text, &client);
	session_send(s, client.data, client.len);
	session_end(s, reason);
}

static void write_all(struct transport *to, const struct output *output)
{
	transport_write(to, output->data, output->len); /* one record at most, and there was room */
	transport_flush(to);
}

static void obey(struct session *s, enum smtp_relay_event event)
{
	switch (event) {
	case SMTP_RELAY_CUT:
		transport_close(&s->backend);
		buffer_clear(&s->backend_in);
		break;
	case SMTP_RELAY_CLOSE:
		session_end(s, smtp_relay_reason(s->relay));
		break;
	default:
		break;
	}
}

/* True when bytes were used. */
static bool take_replies(struct session *s)
{
	enum smtp_relay_event event = SMTP_RELAY_GO_ON;
	char text[TRANSPORT_RECORD];
	struct output client;
	size_t used;

	if (buffer_len(&s->backend_in) == 0 || !transport_writable(&s->client))
		return false;
	output_init(&client, text, sizeof(text));
	used = smtp_relay_backend(s->relay, buffer_data(&s->backend_in), buffer_len(&s->backend_in),
				  &client, &event);
	buffer_consume(&s->backend_in, used);
	write_all(&s->client, &client);
	obey(s, event);
	return used > 0;
}

/* Also without bytes: our own replies may be waiting for room. True when something moved. */
static bool take_commands(struct session *s)
{
	enum smtp_relay_event event = SMTP_RELAY_GO_ON;
	char to_backend[TRANSPORT_RECORD], to_client[TRANSPORT_RECORD];
	struct output backend, client;
	size_t len = buffer_len(&s->client_in), used;

	if (!transport_writable(&s->client) ||
	    (transport_is_open(&s->backend) && !transport_writable(&s->backend)))
		return false;
	output_init(&backend, to_backend, sizeof(to_backend));
	output_init(&client, to_client, sizeof(to_client));
	used = smtp_relay_client(s->relay, len > 0 ? buffer_data(&s->client_in) : "", len, &backend,
				 &client, &event);
	buffer_consume(&s->client_in, used);
	if (event == SMTP_RELAY_GO_ON && transport_is_open(&s->backend))
		write_all(&s->backend, &backend);
	write_all(&s->client, &client);
	obey(s, event);
	return used > 0 || client.len > 0 || backend.len > 0;
}

static void backend_gone(struct session *s)
{
	char text[TRANSPORT_RECORD];
	struct output client;

	output_init(&client, text, sizeof(text));
	smtp_relay_backend_gone(s->relay, &client);
	write_all(&s->client, &client);
	session_end(s, smtp_relay_reason(s->relay));
}

bool submission_wants_backend(const struct session *s)
{
	return transport_is_open(&s->backend) && transport_writable(&s->client) &&
	       buffer_room(&s->backend_in) >= TRANSPORT_RECORD;
}

static bool read_backend(struct session *s)
{
	if (!submission_wants_backend(s))
		return false;
	switch (transport_read(&s->backend, &s->backend_in)) {
	case TRANSPORT_DONE:
		s->active = ev_now(s->worker->loop);
		return true;
	case TRANSPORT_AGAIN:
		return false;
	default:
		/* What it said before may be the end of the session already, also where no byte of it was used. */
		if (!take_replies(s) && s->state == SESSION_RELAY)
			backend_gone(s);
		return s->state == SESSION_RELAY;
	}
}

/* Nothing moves any more. Without its end a message is cut; else what was sent before the end is still carried out, and for
 * some of it the backend must first answer, or take what it was sent. */
static bool client_gone(struct session *s)
{
	bool stuck = buffer_len(&s->client_in) > 0 && transport_is_open(&s->backend) &&
		     (!transport_writable(&s->backend) || smtp_relay_awaits(s->relay));

	if (!stuck && (smtp_relay_in_message(s->relay) || smtp_relay_idle(s->relay)))
		session_end(s, "client_closed");
	return false;
}

bool submission_wants_client(const struct session *s)
{
	return !s->client_ended && transport_writable(&s->client) &&
	       buffer_len(&s->client_in) < TRANSPORT_RECORD;
}

static bool read_client(struct session *s)
{
	if (s->client_ended)
		return client_gone(s);
	if (!submission_wants_client(s))
		return false;
	switch (transport_read(&s->client, &s->client_in)) {
	case TRANSPORT_DONE:
		s->active = ev_now(s->worker->loop);
		return true;
	case TRANSPORT_AGAIN:
		return false;
	case TRANSPORT_CLOSED:
		s->client_ended = true;
		return true;
	case TRANSPORT_TRUNCATED:
		session_close(s, "client_truncated");
		return false;
	default:
		session_close(s, "client_reset");
		return false;
	}
}

bool submission_step(struct session *s)
{
	bool moved = take_replies(s);

	if (s->state == SESSION_RELAY)
		moved |= take_commands(s);
	if (s->state == SESSION_RELAY)
		moved |= read_backend(s);
	if (s->state == SESSION_RELAY && s->worker->draining && smtp_relay_idle(s->relay))
		submission_farewell(s, "4.3.2", "The server is shutting down", "shutdown");
	if (s->state == SESSION_RELAY && !(s->client_ended && moved))
		moved |= read_client(s);
	return moved && s->state == SESSION_RELAY;
}
