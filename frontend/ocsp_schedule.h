/* ocsp_schedule - when which certificate's OCSP response is to be fetched next. Pure: certificates and the time in, decisions out.
 * Rules: at once when there is none; else when half of its validity is over; after a try that brought no newer one, successful or not,
 * after a pause that doubles from OCSP_PAUSE_FIRST to OCSP_PAUSE_MAX; never without a pause, whatever validity is sent. What is known of a certificate outlives a new book.
 */
#ifndef FRONTEND_OCSP_SCHEDULE_H
#define FRONTEND_OCSP_SCHEDULE_H

#include "frontend/book.h"

#define OCSP_PAUSE_FIRST 60
#define OCSP_PAUSE_MAX   3600
#define OCSP_BUSY_MAX    8 /* asked for at the same time */

struct ocsp_schedule;

struct ocsp_schedule *ocsp_schedule_new(void); /* NULL without memory */
void ocsp_schedule_free(struct ocsp_schedule *);

/* The certificates from now on: those that name a responder by http:// and bring their issuer; NULL: none. False: no memory, nothing has
 * changed. */
bool ocsp_schedule_book(struct ocsp_schedule *, const struct book *, int64_t now);

/* The entry of the book to be asked about now: true, and it counts as asked until ocsp_schedule_over(). False: none at the moment; *next is
 * when to ask again (INT64_MAX: never by itself). The id names the certificate beyond this book. */
bool ocsp_schedule_next(struct ocsp_schedule *, int64_t now, uint64_t *id, uint32_t *entry,
			int64_t *next);
/* What was asked has been answered, or has failed. True: the certificate is still there, and *entry its place in the book. */
bool ocsp_schedule_over(struct ocsp_schedule *, uint64_t id, int64_t now, uint32_t *entry);

#endif
