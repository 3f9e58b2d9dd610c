/* keeper_tickets - the keeper's ticket keys: made here and turned by the wall clock, or those of the operator's file.
 * Invariants: locked, since a thread for each worker asks; a bad file changes nothing while it serves; wiped. Used by the checker too, to
 * judge the file.
 */
#ifndef FRONTEND_KEEPER_TICKETS_H
#define FRONTEND_KEEPER_TICKETS_H

#include "frontend/ticket_keys.h"

/* Milliseconds after which workers ask again for the keys of a file, which change when the file does. */
#define KEEPER_TICKETS_FILE_WAIT 2000

struct keeper_tickets;

/* NULL: out of memory. */
struct keeper_tickets *keeper_tickets_new(void);
void keeper_tickets_free(struct keeper_tickets *);

/* CONTROL_TICKETS: string path, string why it could not be opened; fd is the file or -1, and stays the caller's. Takes effect at once where
 * that file is in use; a bad one is then told to the log. */
void keeper_tickets_message(struct keeper_tickets *, struct message_reader *, int fd);

/* Adds a fault or a warning when the configuration names a file and the one that came last by that name is not there or not good. */
void keeper_tickets_check(const struct keeper_tickets *, const struct config *,
			  struct config_faults *, bool warning);

/* From now on as this configuration says. */
void keeper_tickets_commit(struct keeper_tickets *, const struct config *);

/* The answer to a worker (ticket_keys_decode). Returns its length; 0: there are no ticket keys. The caller wipes it. */
size_t keeper_tickets_answer(struct keeper_tickets *, uint8_t out[TICKET_BODY_MAX]);

#endif
