/* imap_command - see imap_command.h.
 * A command is read anew from its beginning at each call: its lines are few and bounded, literals are stepped over, and
 * only the first line, which is where a slow client spends its time, resumes the search for its end.
 */
#include "protocols/imap_command.h"
#include "protocols/line.h"

enum literal_kind { LITERAL_NONE, LITERAL_SYNC, LITERAL_NON_SYNC, LITERAL_BROKEN };

/* RFC 9051 9: ATOM-CHAR and "]". Octets over 127 are let through although the grammar has only CHAR here: clients do send
 * names and passwords in UTF-8 without quotes, and we quote them anew for the backend anyway. */
static bool is_astring_char(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte > 0x20 && byte != 0x7f && !strchr("(){%*\"\\", c);
}

static bool is_tag_char(char c)
{
	return is_astring_char(c) && (unsigned char)c < 0x80 && c != '+';
}

struct span imap_command_tag(const char *data, size_t len)
{
	size_t end = 0;

	while (end < len && end <= IMAP_TAG_MAX && is_tag_char(data[end]))
		end++;
	if (end == 0 || end > IMAP_TAG_MAX || end == len || data[end] != ' ')
		return (struct span) { data, 0 };
	return (struct span) { data, end };
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* `tag SP name [SP args]`; args is extended to the end of the command by the caller. */
static void read_head(struct span line, struct imap_command *out)
{
	size_t begin, end;

	out->tag = imap_command_tag(line.data, line.len);
	if (out->tag.len == 0)
		return;
	begin = end = out->tag.len + 1;
	while (end < line.len && is_letter(line.data[end]))
		end++;
	if (end < line.len && line.data[end] != ' ')
		return;
	out->name = (struct span) { line.data + begin, end - begin };
	if (end < line.len)
		out->args.data = line.data + end + 1;
}

/* A decimal number; stays at SIZE_MAX / 10 or above when it is larger than any bound. False without a digit. */
static bool read_number(struct span *text, size_t *out)
{
	size_t i = 0;

	*out = 0;
	for (; i < text->len && text->data[i] >= '0' && text->data[i] <= '9'; i++)
		if (*out < (size_t)-1 / 10 - 1)
			*out = *out * 10 + (size_t)(text->data[i] - '0');
	*text = span_from(*text, i);
	return i > 0;
}

/* Whether the line ends with "{number}" or "{number+}". What looks like one and is none has an unknown end. */
static enum literal_kind read_literal(struct span line, size_t *size)
{
	const char *brace = line.len > 0 ? memrchr(line.data, '{', line.len) : NULL;

	if (!brace || line.data[line.len - 1] != '}')
		return LITERAL_NONE;
	struct span text = { brace + 1, line.len - (size_t)(brace - line.data) - 2 };

	if (text.len > 0 && (memchr(text.data, ' ', text.len) || memchr(text.data, '"', text.len)))
		return LITERAL_NONE;
	if (!read_number(&text, size))
		return LITERAL_BROKEN;
	if (text.len == 0)
		return LITERAL_SYNC;
	return text.len == 1 && text.data[0] == '+' ? LITERAL_NON_SYNC : LITERAL_BROKEN;
}

struct frame {
	size_t position, lines, literals; /* bytes of all, of the lines, of the literals */
	unsigned count, synchronising;
	bool bad;
};

/* Steps over the literal that the line just read has announced. WHOLE: go on with the line behind it. */
static enum imap_frame step_literal(struct frame *frame, enum literal_kind kind, size_t size,
				    struct span data, const struct dialogue_settings *settings,
				    unsigned invited)
{
	if (kind == LITERAL_BROKEN)
		return IMAP_FRAME_BROKEN;
	if (size > settings->literals_max - frame->literals ||
	    ++frame->count > IMAP_COMMAND_LITERALS_MAX)
		return IMAP_FRAME_TOO_BIG;
	if (kind == LITERAL_SYNC && ++frame->synchronising > invited)
		return IMAP_FRAME_SYNC;
	if (data.len - frame->position < size)
		return IMAP_FRAME_MORE;
	if (size > 0 && memchr(data.data + frame->position, '\0', size))
		frame->bad = true;
	frame->literals += size;
	frame->position += size;
	return IMAP_FRAME_WHOLE;
}

static enum imap_frame finish(const struct frame *frame, const char *data, enum imap_frame result,
			      struct imap_command *out)
{
	out->used = frame->position;
	if (out->args.data)
		out->args.len = (size_t)(data + frame->position - out->args.data) - LINE_END_SIZE;
	return result;
}

enum imap_frame imap_command_read(const char *data, size_t len,
				  const struct dialogue_settings *settings, unsigned invited,
				  size_t *scanned, struct imap_command *out)
{
	struct frame frame = { .position = 0 };
	struct span line;
	size_t size, fresh = 0;

	*out = (struct imap_command) { .used = 0 };
	for (size_t *resume = scanned;; resume = &fresh) {
		enum line_result cut = line_cut(data + frame.position, len - frame.position,
						settings->line_max - frame.lines, resume, &line);

		if (cut == LINE_MORE)
			return IMAP_FRAME_MORE;
		if (cut == LINE_LONG || cut == LINE_BARE_LF)
			return IMAP_FRAME_BROKEN;
		frame.bad |= cut == LINE_BAD;
		if (frame.position == 0)
			read_head(line, out);
		frame.lines += line.len + LINE_END_SIZE;
		frame.position += line.len + LINE_END_SIZE;
		fresh = 0;

		enum literal_kind kind = read_literal(line, &size);

		if (kind == LITERAL_NONE)
			return finish(&frame, data, frame.bad ? IMAP_FRAME_BAD : IMAP_FRAME_WHOLE,
				      out);
		enum imap_frame step = step_literal(&frame, kind, size, (struct span) { data, len },
						    settings, invited);

		if (step != IMAP_FRAME_WHOLE)
			return finish(&frame, data, step, out);
	}
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

/* Unescapes in place: the result starts at the opening quote. */
static bool read_quoted(struct span *args, struct span *out)
{
	char *text = (char *)args->data;
	size_t from = 1, to = 0;

	for (; from < args->len && text[from] != '"'; from++) {
		if (text[from] == '\\' && ++from < args->len && text[from] != '"' &&
		    text[from] != '\\')
			return false;
		if (from == args->len || text[from] == '\r' || text[from] == '\n')
			return false;
		text[to++] = text[from];
	}
	if (from == args->len)
		return false;
	*out = (struct span) { text, to };
	*args = span_from(*args, from + 1);
	return true;
}

static bool read_literal_string(struct span *args, struct span *out)
{
	struct span rest = span_from(*args, 1);
	size_t size;

	if (!read_number(&rest, &size))
		return false;
	if (span_begins(rest, "+"))
		rest = span_from(rest, 1);
	if (!span_begins(rest, "}\r\n") || rest.len - 3 < size)
		return false;
	*out = (struct span) { rest.data + 3, size };
	*args = span_from(rest, size + 3);
	return true;
}

static bool read_string(struct span *args, struct span *out)
{
	if (span_begins(*args, "\""))
		return read_quoted(args, out);
	return span_begins(*args, "{") && read_literal_string(args, out);
}

bool imap_command_astring(struct span *args, struct span *out)
{
	size_t end = 0;

	if (args->len == 0)
		return false;
	if (args->data[0] == '"' || args->data[0] == '{')
		return read_string(args, out);
	while (end < args->len && is_astring_char(args->data[end]))
		end++;
	*out = (struct span) { args->data, end };
	*args = span_from(*args, end);
	return end > 0;
}

bool imap_command_blank(struct span *args)
{
	if (!span_begins(*args, " "))
		return false;
	*args = span_from(*args, 1);
	return true;
}

/* RFC 2971 3.3. */
enum { ID_KEY_MAX = 30, ID_VALUE_MAX = 1024, ID_PAIRS_MAX = 30 };

static bool read_id_pair(struct span *args)
{
	struct span key, value = { NULL, 0 };

	if (!read_string(args, &key) || key.len > ID_KEY_MAX || !imap_command_blank(args))
		return false;
	if (span_begins(*args, "NIL"))
		*args = span_from(*args, 3);
	else if (!read_string(args, &value))
		return false;
	return value.len <= ID_VALUE_MAX;
}

bool imap_command_id_is_valid(struct span args)
{
	if (span_is(args, "NIL") || span_is(args, "()"))
		return true;
	if (!span_begins(args, "("))
		return false;
	args = span_from(args, 1);
	for (int pairs = 1; pairs <= ID_PAIRS_MAX; pairs++) {
		if (!read_id_pair(&args))
			return false;
		if (span_is(args, ")"))
			return true;
		if (!imap_command_blank(&args))
			return false;
	}
	return false;
}
