/* prepared - see prepared.h. */
#include "frontend/prepared.h"
#include "frontend/control.h"

static void put_faults(struct message_writer *message, const struct config_faults *faults)
{
	message_put_u32(message, (uint32_t)faults->count);
	for (size_t i = 0; i < faults->count; i++) {
		message_put_u8(message, faults->items[i].warning);
		message_put_string(message, faults->items[i].file);
		message_put_u32(message, (uint32_t)faults->items[i].line);
		message_put_string(message, faults->items[i].text);
	}
}

bool prepared_answer(struct channel *channel, uint32_t generation,
		     const struct config_faults *faults, const struct prepared_check *check)
{
	bool failed = faults->errors > 0;
	bool with_book = !failed && check != NULL;
	struct message_writer message;
	bool sent;

	message_begin(&message, CONTROL_MESSAGE_MAX, failed ? CONTROL_FAILED : CONTROL_READY);
	message_put_u32(&message, generation);
	put_faults(&message, faults);
	if (with_book) {
		message_put_string(&message, check->library);
		message_put_u32(&message, (uint32_t)check->refused);
		for (size_t i = 0; i < check->refused; i++) {
			message_put_u32(&message, check->refusals[i].index);
			message_put_string(&message, check->refusals[i].why);
		}
	}
	sent = message_end(&message, with_book) &&
	       channel_send(channel, &message, with_book ? &check->book : NULL, with_book) == 0;
	message_writer_cleanup(&message);
	return sent;
}

bool prepared_serving(struct channel *channel, uint32_t generation)
{
	struct message_writer message;
	bool sent;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_SERVING);
	message_put_u32(&message, generation);
	sent = message_end(&message, 0) && channel_send(channel, &message, NULL, 0) == 0;
	message_writer_cleanup(&message);
	return sent;
}

void prepared_faults(struct message_reader *message, struct config_faults *out)
{
	for (uint32_t count = message_get_u32(message); count > 0 && !message->failed; count--) {
		bool warning = message_get_u8(message) != 0;
		const char *file = message_get_string(message);
		int line = (int)message_get_u32(message);
		const char *text = message_get_string(message);

		if (!message->failed)
			config_fault(out, warning, file ? file : "-", line, "%s", text ? text : "");
	}
}
