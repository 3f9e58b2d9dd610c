/* credential - see credential.h. One block holds the struct, the name and the password, so that one wipe is enough. */
#include "protocols/credential.h"
#include <stdlib.h>

struct credential *credential_new(struct span user, struct span password)
{
	if (user.len == 0 || user.len > CREDENTIAL_USER_MAX ||
	    password.len > CREDENTIAL_PASSWORD_MAX)
		return NULL;

	size_t size = sizeof(struct credential) + user.len + password.len;
	struct credential *credential = malloc(size);

	if (!credential)
		return NULL;
	char *bytes = (char *)(credential + 1);

	memcpy(bytes, user.data, user.len);
	if (password.len > 0)
		memcpy(bytes + user.len, password.data, password.len);
	*credential = (struct credential) {
		.user = { bytes, user.len },
		.password = { bytes + user.len, password.len },
		.size = size,
	};
	return credential;
}

void credential_free(struct credential *credential)
{
	if (!credential)
		return;
	explicit_bzero(credential, credential->size);
	free(credential);
}

/* Reads one character of UTF-8 (RFC 3629 4). Returns its length, or 0 when it is not valid: overlong, a surrogate,
 * over U+10FFFF or cut off. */
static size_t utf8_read(const unsigned char *bytes, size_t len, unsigned *out)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = bytes[0] < 0x80             ? 1
		      : (bytes[0] & 0xe0) == 0xc0 ? 2
		      : (bytes[0] & 0xf0) == 0xe0 ? 3
		      : (bytes[0] & 0xf8) == 0xf0 ? 4
						  : 0;

	if (size == 0 || size > len)
		return 0;
	unsigned character = size == 1 ? bytes[0] : bytes[0] & (0x7fu >> size);

	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (bytes[i] & 0x3fu);
	}
	if (character < least[size] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*out = character;
	return size;
}

static bool is_control(unsigned character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

bool identity_acceptable(struct span name)
{
	const unsigned char *bytes = (const unsigned char *)name.data;
	unsigned character = 0;

	if (name.len == 0 || name.len > CREDENTIAL_USER_MAX)
		return false;
	for (size_t i = 0; i < name.len;) {
		size_t size = utf8_read(bytes + i, name.len - i, &character);

		if (size == 0 || is_control(character))
			return false;
		i += size;
	}
	return true;
}
