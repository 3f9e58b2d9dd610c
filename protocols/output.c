/* output - see output.h. A text that does not fit is left out whole: half a reply would be a wrong reply. */
#include "protocols/output.h"
#include <stdarg.h>
#include <stdio.h>

void output_init(struct output *output, char *storage, size_t max)
{
	*output = (struct output) { .data = storage, .max = max };
}

size_t output_room(const struct output *output)
{
	return output->max - output->len;
}

void output_span(struct output *output, struct span span)
{
	if (span.len > output_room(output)) {
		output->overflow = true;
		return;
	}
	if (span.len == 0)
		return;
	memcpy(output->data + output->len, span.data, span.len);
	output->len += span.len;
}

void output_text(struct output *output, const char *text)
{
	output_span(output, span_of(text));
}

void output_format(struct output *output, const char *format, ...)
{
	size_t room = output_room(output);
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(output->data + output->len, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room) {
		output->overflow = true;
		return;
	}
	output->len += (size_t)length;
}
