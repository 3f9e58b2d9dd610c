/* capability - what CAPABILITY, CAPA and EHLO show: built from the command table, so that what is offered is what is
 * accepted, and from the settings.
 * Invariants: a row shows its capability only in the phases where its command is legal. What stands in the settings
 * can add nothing that has to do with TLS or credentials.
 *
 * Grammar of struct command's `capability`: items separated by commas;
 *   "ID"             shown where the command is legal
 *   "!LOGINDISABLED" shown where it is not
 *   "SASL *"         one item that lists all mechanisms
 *   "AUTH=*"         one item for each mechanism
 * Items with mechanisms come behind all others; without any mechanism they are not shown.
 */
#ifndef PROTOCOLS_CAPABILITY_H
#define PROTOCOLS_CAPABILITY_H

#include "protocols/protocol.h"

/* Writes before, item, after for each capability in the phase of the dialogue: ("", " ") for IMAP, ("", "\r\n") for
 * POP3, ("250-", "\r\n") for submission, whose caller adds the last line of its own. */
void capability_list(const struct dialogue *, const char *before, const char *after,
		     struct output *);

/* The mechanism of that name as the settings spell it, or NULL when it is not offered. */
const char *capability_mechanism(const struct dialogue_settings *, struct span name);

#endif
