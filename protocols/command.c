/* command - see command.h. */
#include "protocols/command.h"

const struct command *command_find(const struct command *table, struct span name)
{
	for (const struct command *row = table; row->name; row++)
		if (span_is(name, row->name))
			return row;
	return NULL;
}

bool command_is_legal(const struct command *command, enum phase phase)
{
	return (command->phases & phase) != 0;
}
