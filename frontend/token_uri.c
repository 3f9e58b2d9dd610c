/* token_uri - see token_uri.h. RFC 7512 2.3. */
#include "frontend/token_uri.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const names[TOKEN_URI_ATTRIBUTES] = {
	[TOKEN_URI_TOKEN] = "token",   [TOKEN_URI_MANUFACTURER] = "manufacturer",
	[TOKEN_URI_MODEL] = "model",   [TOKEN_URI_SERIAL] = "serial",
	[TOKEN_URI_OBJECT] = "object", [TOKEN_URI_ID] = "id",
	[TOKEN_URI_TYPE] = "type",
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *text, size_t len, struct token_uri_value *out)
{
	for (size_t i = 0; i < len; i++) {
		int octet = (unsigned char)text[i];

		if (octet == '%') {
			int high = len - i < 3 ? -1 : digit(text[i + 1]);
			int low = len - i < 3 ? -1 : digit(text[i + 2]);

			if (high < 0 || low < 0)
				return false;
			octet = high << 4 | low;
			i += 2;
		}
		if (out->len == sizeof(out->data))
			return false;
		out->data[out->len++] = (uint8_t)octet;
	}
	out->set = true;
	return true;
}

static int find(const char *name, size_t len)
{
	int i = 0;

	while (i < TOKEN_URI_ATTRIBUTES &&
	       (strlen(names[i]) != len || memcmp(names[i], name, len) != 0))
		i++;
	return i;
}

static bool parse_attribute(const char *text, size_t len, struct token_uri *out, char why[256])
{
	const char *equals = memchr(text, '=', len);
	size_t name = equals != NULL ? (size_t)(equals - text) : len;
	int attribute = find(text, name);

	if (equals == NULL || attribute == TOKEN_URI_ATTRIBUTES) {
		snprintf(why, 256, "no attribute of a token's key: \"%.*s\"", (int)len, text);
		return false;
	}
	if (out->values[attribute].set) {
		snprintf(why, 256, "\"%s\" stands there twice", names[attribute]);
		return false;
	}
	if (decode(equals + 1, len - name - 1, &out->values[attribute]))
		return true;
	snprintf(why, 256, "\"%s\" is too long, or has a %% without two digits behind it",
		 names[attribute]);
	return false;
}

bool token_uri_parse(const char *text, struct token_uri *out, char why[256])
{
	const struct token_uri_value *type = &out->values[TOKEN_URI_TYPE];

	*out = (struct token_uri) { 0 };
	snprintf(why, 256, "it does not begin with \"pkcs11:\"");
	if (strncmp(text, "pkcs11:", 7) != 0)
		return false;
	text += 7;
	if (strchr(text, '?') != NULL) {
		snprintf(why, 256,
			 "nothing may follow a \"?\": module and PIN are \"module\" and "
			 "\"pin_file\" of tls.pkcs11");
		return false;
	}
	while (*text != '\0') {
		size_t len = strcspn(text, ";");

		if (!parse_attribute(text, len, out, why))
			return false;
		text += len + (text[len] == ';');
	}
	if (type->set && (type->len != 7 || memcmp(type->data, "private", 7) != 0)) {
		snprintf(why, 256, "\"type\" must be \"private\"");
		return false;
	}
	snprintf(why, 256, "neither \"object\" nor \"id\" says which key it is");
	return out->values[TOKEN_URI_OBJECT].set || out->values[TOKEN_URI_ID].set;
}

bool token_uri_fits(const struct token_uri *uri, enum token_uri_attribute attribute,
		    const uint8_t *field, size_t size)
{
	const struct token_uri_value *value = &uri->values[attribute];

	if (!value->set)
		return true;
	while (size > 0 && field[size - 1] == ' ')
		size--;
	return value->len == size && memcmp(value->data, field, size) == 0;
}
