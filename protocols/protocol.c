/* protocol - see protocol.h: lookup by name, and the life of a dialogue. */
#include "protocols/protocol.h"

const struct protocol *protocol_find(const char *name)
{
	static const struct protocol *const all[] = { &protocol_submission, &protocol_imap,
						      &protocol_pop3 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

void dialogue_init(struct dialogue *dialogue, const struct protocol *protocol,
		   const struct dialogue_settings *settings, enum phase phase)
{
	dialogue_wipe(dialogue);
	*dialogue = (struct dialogue) {
		.protocol = protocol,
		.settings = settings,
		.phase = phase,
	};
}

void dialogue_wipe(struct dialogue *dialogue)
{
	explicit_bzero(dialogue, sizeof(*dialogue));
}
