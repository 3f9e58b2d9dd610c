/* span - see span.h. */
#include "protocols/span.h"

struct span span_word(struct span *rest)
{
	size_t begin = 0, end;

	while (begin < rest->len && rest->data[begin] == ' ')
		begin++;
	end = begin;
	while (end < rest->len && rest->data[end] != ' ')
		end++;
	struct span word = { rest->data + begin, end - begin };

	*rest = span_from(*rest, end);
	return word;
}
