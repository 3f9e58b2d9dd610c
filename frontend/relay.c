/* relay - the opaque one. See relay.h. */
#include "frontend/relay.h"

static void mark_active(struct session *s)
{
	s->active = ev_now(s->worker->loop);
}

/* Moves what stands in the buffer to the other side; true when all of it has gone. */
static bool forward(struct buffer *from, struct transport *to)
{
	while (buffer_len(from) > 0) {
		size_t taken = transport_write(to, buffer_data(from), buffer_len(from));

		buffer_consume(from, taken);
		if (taken == 0 &&
		    (transport_flush(to) == TRANSPORT_FAILED || !transport_writable(to)))
			return false;
	}
	transport_flush(to);
	return true;
}

/* One direction: true when something moved. *ended becomes how the side ended, DONE while it has not. */
static bool copy(struct session *s, struct transport *from, struct buffer *via,
		 struct transport *to, enum transport_result *ended)
{
	enum transport_result result;

	*ended = TRANSPORT_DONE;
	if (!forward(via, to))
		return false;
	result = transport_read(from, via);
	if (result == TRANSPORT_DONE) {
		mark_active(s);
		forward(via, to);
		return true;
	}
	if (result != TRANSPORT_AGAIN)
		*ended = result;
	return false;
}

static bool copy_from_client(struct session *s)
{
	enum transport_result ended;
	bool moved;

	if (s->client_ended) {
		if (forward(&s->client_in, &s->backend))
			transport_end_writing(&s->backend);
		return false;
	}
	moved = copy(s, &s->client, &s->client_in, &s->backend, &ended);
	switch (ended) {
	case TRANSPORT_DONE:
		break;
	case TRANSPORT_CLOSED: /* half-close: what the backend still says goes on */
		s->client_ended = true;
		transport_end_writing(&s->backend);
		break;
	case TRANSPORT_TRUNCATED:
		session_close(s, "client_truncated");
		break;
	default:
		session_close(s, "client_reset");
		break;
	}
	return moved;
}

static bool copy_from_backend(struct session *s)
{
	enum transport_result ended;
	bool moved = copy(s, &s->backend, &s->backend_in, &s->client, &ended);

	if (ended == TRANSPORT_CLOSED)
		session_end(s, s->client_ended ? "client_closed" : "backend_closed");
	else if (ended != TRANSPORT_DONE)
		session_end(s, "backend_failed");
	return moved;
}

bool relay_step(struct session *s)
{
	bool moved = copy_from_client(s);

	if (s->state == SESSION_RELAY)
		moved |= copy_from_backend(s);
	return moved && s->state == SESSION_RELAY;
}

/* What stands in a buffer has not been taken by the other side. */
bool relay_wants_client(const struct session *s)
{
	return !s->client_ended && buffer_len(&s->client_in) == 0;
}

bool relay_wants_backend(const struct session *s)
{
	return buffer_len(&s->backend_in) == 0;
}
