/* key_parts - what key.c and its neighbours share of libcrypto: not for others, since its types may not stand beside wolfSSL's.
 */
#ifndef FRONTEND_KEY_PARTS_H
#define FRONTEND_KEY_PARTS_H

#include "frontend/key.h"
#include <openssl/evp.h>

/* False when it is of none of our types. */
bool key_parts_kind(EVP_PKEY *, enum key_type *, unsigned *bits);
bool key_parts_spki_hash(EVP_PKEY *, uint8_t id[KEY_ID_LEN]);
BIO *key_parts_bio(const uint8_t *data, size_t len);
/* For PEM_read_*(): one with a pass phrase must fail, not ask on a terminal. */
int key_parts_no_pass_phrase(char *buf, int size, int rwflag, void *u);

#endif
