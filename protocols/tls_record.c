/* tls_record - see tls_record.h. */
#include "protocols/tls_record.h"
#include <string.h>

#define PROTECTED_MIN 17 /* a tag of 16 octets, and the type behind the content */
#define ALERT_LEN     2

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21 };

static bool fits(const uint8_t *header, size_t len)
{
	return len >= PROTECTED_MIN || header[0] == CHANGE_CIPHER_SPEC ||
	       (header[0] == ALERT && len == ALERT_LEN);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool tls_record_pass(struct tls_record_watch *watch, const uint8_t *data, size_t len, bool tls13)
{
	while (len > 0) {
		size_t part = watch->left > 0 ? least(watch->left, len)
					      : least(TLS_RECORD_HEADER - watch->have, len);

		if (watch->left > 0) {
			watch->left -= part;
		} else {
			memcpy(watch->header + watch->have, data, part);
			watch->have += part;
		}
		data += part;
		len -= part;
		if (watch->have < TLS_RECORD_HEADER)
			continue;
		watch->left = (size_t)watch->header[3] << 8 | watch->header[4];
		watch->have = 0;
		if (tls13 && !fits(watch->header, watch->left))
			return false;
	}
	return true;
}
