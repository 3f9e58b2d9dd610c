/* base64 - see base64.h. Bytes pass through an encoder of three at a time, so that no second copy of a password is made. */
#include "protocols/base64.h"

struct encoder {
	struct output *output;
	unsigned char pending[3];
	size_t count;
};

static void encoder_flush(struct encoder *encoder)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = encoder->pending;
	char out[4];

	if (encoder->count == 0)
		return;
	out[0] = alphabet[in[0] >> 2];
	out[1] = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
	out[2] = encoder->count > 1 ? alphabet[(in[1] & 15) << 2 | in[2] >> 6] : '=';
	out[3] = encoder->count > 2 ? alphabet[in[2] & 63] : '=';
	output_span(encoder->output, (struct span) { out, sizeof(out) });
	explicit_bzero(out, sizeof(out));
	explicit_bzero(encoder->pending, sizeof(encoder->pending));
	encoder->count = 0;
}

static void encoder_put(struct encoder *encoder, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		encoder->pending[encoder->count++] = (unsigned char)bytes.data[i];
		if (encoder->count == sizeof(encoder->pending))
			encoder_flush(encoder);
	}
}

void base64_encode(struct span bytes, struct output *output)
{
	struct encoder encoder = { .output = output };

	encoder_put(&encoder, bytes);
	encoder_flush(&encoder);
}

void base64_plain(struct span authorization, struct span user, struct span password,
		  struct output *output)
{
	struct encoder encoder = { .output = output };
	const struct span separator = { "", 1 };

	encoder_put(&encoder, authorization);
	encoder_put(&encoder, separator);
	encoder_put(&encoder, user);
	encoder_put(&encoder, separator);
	encoder_put(&encoder, password);
	encoder_flush(&encoder);
}
