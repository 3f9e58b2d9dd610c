/* smtp_xclient - see smtp_xclient.h. */
#include "protocols/smtp_xclient.h"

/* In the order of sending. What says who the client is stands together on the last line: Postfix decides by name and address
 * whether it takes another line of XCLIENT, and with each line it forgets a LOGIN that it was told before. */
enum attribute {
	ATTRIBUTE_PROTO,
	ATTRIBUTE_HELO,
	ATTRIBUTE_DESTADDR,
	ATTRIBUTE_DESTPORT,
	ATTRIBUTE_REVERSE_NAME,
	ATTRIBUTE_NAME,
	ATTRIBUTE_PORT,
	ATTRIBUTE_LOGIN,
	ATTRIBUTE_ADDR,
	ATTRIBUTES,
	ATTRIBUTES_TOGETHER = ATTRIBUTE_REVERSE_NAME, /* from here on */
};

_Static_assert(ATTRIBUTES == SMTP_XCLIENT_BITS, "an offer has a bit for each attribute");

static const char *const names[ATTRIBUTES] = {
	[ATTRIBUTE_PROTO] = "PROTO",       [ATTRIBUTE_HELO] = "HELO",
	[ATTRIBUTE_DESTADDR] = "DESTADDR", [ATTRIBUTE_DESTPORT] = "DESTPORT",
	[ATTRIBUTE_PORT] = "PORT",         [ATTRIBUTE_LOGIN] = "LOGIN",
	[ATTRIBUTE_NAME] = "NAME",         [ATTRIBUTE_REVERSE_NAME] = "REVERSE_NAME",
	[ATTRIBUTE_ADDR] = "ADDR",
};

unsigned smtp_xclient_offer(struct span attributes)
{
	unsigned offered = 0;

	for (struct span word = span_word(&attributes); word.len > 0; word = span_word(&attributes))
		for (unsigned i = 0; i < ATTRIBUTES; i++)
			if (span_is(word, names[i]))
				offered |= 1u << i;
	return offered;
}

bool smtp_xclient_offers_login(unsigned offered)
{
	return offered & 1u << ATTRIBUTE_LOGIN;
}

void smtp_xtext(struct span text, struct output *output)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		char escaped[] = { '+', digits[byte >> 4], digits[byte & 15] };

		if (byte > ' ' && byte < 0x7f && byte != '+' && byte != '=')
			output_span(output, (struct span) { text.data + i, 1 });
		else
			output_span(output, (struct span) { escaped, sizeof(escaped) });
	}
}

static void write_address(const char *address, struct output *output)
{
	if (address[0] == '\0') {
		output_text(output, "[UNAVAILABLE]");
		return;
	}
	if (strchr(address, ':'))
		output_text(output, "IPV6:");
	smtp_xtext(span_of(address), output);
}

/* Whether there is something to say; of the client's address that it is not known is worth saying: else the backend would
 * take ours for it. */
static bool is_known(const struct smtp_xclient *xclient, unsigned attribute)
{
	const struct login_client *client = xclient->client;

	switch ((enum attribute)attribute) {
	case ATTRIBUTE_HELO:
		return client->name[0] != '\0';
	case ATTRIBUTE_DESTADDR:
		return client->local.address[0] != '\0';
	case ATTRIBUTE_DESTPORT:
		return client->local.port != 0;
	case ATTRIBUTE_PORT:
		return client->peer.port != 0;
	case ATTRIBUTE_LOGIN:
		return xclient->login.len > 0;
	default:
		return true;
	}
}

static void write_attribute(const struct smtp_xclient *xclient, unsigned attribute,
			    struct output *output)
{
	const struct login_client *client = xclient->client;

	output_text(output, " ");
	output_text(output, names[attribute]);
	output_text(output, "=");
	switch ((enum attribute)attribute) {
	case ATTRIBUTE_PROTO:
		output_text(output, "ESMTP");
		break;
	case ATTRIBUTE_HELO:
		smtp_xtext(span_of(client->name), output);
		break;
	case ATTRIBUTE_DESTADDR:
		write_address(client->local.address, output);
		break;
	case ATTRIBUTE_DESTPORT:
		output_format(output, "%u", client->local.port);
		break;
	case ATTRIBUTE_PORT:
		output_format(output, "%u", client->peer.port);
		break;
	case ATTRIBUTE_LOGIN:
		smtp_xtext(xclient->login, output);
		break;
	case ATTRIBUTE_ADDR:
		write_address(client->peer.address, output);
		break;
	default: /* names: we do not look them up */
		output_text(output, "[UNAVAILABLE]");
		break;
	}
}

enum smtp_xclient_result smtp_xclient_write(const struct smtp_xclient *xclient, unsigned *next,
					    struct output *output)
{
	char storage[SMTP_XCLIENT_LINE_MAX - 2];
	struct output line;
	size_t empty;

	output_init(&line, storage, sizeof(storage));
	output_text(&line, "XCLIENT");
	empty = line.len;
	while (*next < ATTRIBUTES) {
		unsigned end = *next < ATTRIBUTES_TOGETHER ? *next + 1 : ATTRIBUTES;
		struct output longer = line;

		for (unsigned i = *next; i < end; i++)
			if ((xclient->offered & 1u << i) && is_known(xclient, i))
				write_attribute(xclient, i, &longer);
		if (longer.overflow)
			break;
		line = longer;
		*next = end;
	}
	if (line.len == empty)
		return *next < ATTRIBUTES ? SMTP_XCLIENT_LONG : SMTP_XCLIENT_OVER;
	output_span(output, (struct span) { line.data, line.len });
	output_text(output, "\r\n");
	return SMTP_XCLIENT_WRITTEN;
}
