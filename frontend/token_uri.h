/* token_uri - "pkcs11:token=...;object=..." (RFC 7512): which token and which key in it.
 * Invariants: pure; attributes that it does not know, or that name anything but a private key, are faults, and so is a query: the module
 * and the PIN are options of their own.
 */
#ifndef FRONTEND_TOKEN_URI_H
#define FRONTEND_TOKEN_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_URI_VALUE_MAX 255

enum token_uri_attribute {
	TOKEN_URI_TOKEN, /* label */
	TOKEN_URI_MANUFACTURER,
	TOKEN_URI_MODEL,
	TOKEN_URI_SERIAL,
	TOKEN_URI_OBJECT, /* label */
	TOKEN_URI_ID,
	TOKEN_URI_TYPE, /* "private"; says nothing more */
	TOKEN_URI_ATTRIBUTES,
};

struct token_uri {
	struct token_uri_value {
		bool set;
		size_t len;
		uint8_t data[TOKEN_URI_VALUE_MAX];
	} values[TOKEN_URI_ATTRIBUTES];
};

/* False and why. */
bool token_uri_parse(const char *text, struct token_uri *out, char why[256]);

/* A field of PKCS#11, padded with blanks: whether it has that value. An attribute that is not set fits all. */
bool token_uri_fits(const struct token_uri *, enum token_uri_attribute, const uint8_t *field,
		    size_t size);

#endif
