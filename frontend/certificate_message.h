/* certificate_message - how certificates and their files travel: the fields of CONTROL_CERTIFICATES, CONTROL_WANT and CONTROL_FILES.
 * Invariants: bounded; a list is whole or nothing, and what is decoded from it is the reader's own; an index is not compared with
 * any list here.
 */
#ifndef FRONTEND_CERTIFICATE_MESSAGE_H
#define FRONTEND_CERTIFICATE_MESSAGE_H

#include "frontend/arena.h"
#include "frontend/message.h"

enum certificate_mode {
	CERTIFICATE_START,   /* start and -t: a fault is an error */
	CERTIFICATE_RENEWAL, /* files have changed: a fault is a warning, and the old entry stays */
	CERTIFICATE_RELOAD,  /* a fault is an error, but not that a certificate has expired */
	CERTIFICATE_MODES,
};

#define CERTIFICATE_READ UINT32_MAX

/* One certificate of the configuration. */
struct certificate_item {
	uint32_t set; /* 0: of tls; i + 1: of the i-th listener's own */
	bool is_default;
	const char *chain, *key; /* paths; the key may be the URI of one in a token */
	const char *staple;      /* path, "": none */
	const char *file;        /* where the configuration names it */
	uint32_t line;
	uint32_t
		same; /* its index in the old book when its files have not changed; else CERTIFICATE_READ */
};

struct certificate_list {
	enum certificate_mode mode;
	uint32_t count;
	struct certificate_item *items;
};

/* "pkcs11:..." (RFC 7512) */
bool certificate_is_token(const char *key);

void certificate_put_list(struct message_writer *, const struct certificate_list *);
/* Into the arena, also what is found before it turns out to be malformed (false). */
bool certificate_get_list(struct message_reader *, struct arena *, struct certificate_list *out);

void certificate_put_want(struct message_writer *, uint32_t index);
bool certificate_get_want(struct message_reader *, uint32_t *index);

enum certificate_part {
	CERTIFICATE_CHAIN,
	CERTIFICATE_KEY,
	CERTIFICATE_STAPLE,
	CERTIFICATE_PARTS,
};

struct certificate_files {
	uint32_t index;
	int fds[CERTIFICATE_PARTS];         /* -1: not opened, or not asked for */
	const char *why[CERTIFICATE_PARTS]; /* what went wrong with opening it; NULL: nothing did */
	const char *token;                  /* the URI that stands in the key's place, or NULL */
};

/* The fields; the descriptors that go with them, in their order, to `fds`, and how many. */
size_t certificate_put_files(struct message_writer *, const struct certificate_files *,
			     int fds[CERTIFICATE_PARTS]);
/* Takes the descriptors out of `fds` (leaving -1) when it is well formed; texts lie in the frame. */
bool certificate_get_files(struct message_reader *, int *fds, size_t nfds,
			   struct certificate_files *out);
/* Closes what is left open in it. */
void certificate_files_close(struct certificate_files *);

#endif
