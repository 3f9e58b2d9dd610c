/* capability - see capability.h. */
#include "protocols/capability.h"

struct list {
	const struct dialogue *dialogue;
	const char *before, *after;
	struct output *output;
};

static void show(const struct list *list, struct span item, const char *mechanism)
{
	output_text(list->output, list->before);
	output_span(list->output, item);
	if (mechanism)
		output_text(list->output, mechanism);
	output_text(list->output, list->after);
}

/* `prefix` is "AUTH=" (an item for each mechanism) or "SASL " (one item for all). */
static void show_mechanisms(const struct list *list, struct span prefix)
{
	const char *const *mechanism = list->dialogue->settings->mechanisms;
	bool together = prefix.len > 0 && prefix.data[prefix.len - 1] == ' ';

	if (!*mechanism)
		return;
	if (!together) {
		for (; *mechanism; mechanism++)
			show(list, prefix, *mechanism);
		return;
	}
	output_text(list->output, list->before);
	output_span(list->output, (struct span) { prefix.data, prefix.len - 1 });
	for (; *mechanism; mechanism++) {
		output_text(list->output, " ");
		output_text(list->output, *mechanism);
	}
	output_text(list->output, list->after);
}

/* The next item of *rest, which moves behind its comma. */
static struct span next_item(struct span *rest)
{
	const char *comma = memchr(rest->data, ',', rest->len);
	struct span item = { rest->data, comma ? (size_t)(comma - rest->data) : rest->len };

	*rest = span_from(*rest, item.len + 1);
	return item;
}

/* RFC 9051 7.2.2: LOGINDISABLED, where LOGIN would be refused whatever it carries. */
static bool takes_passwords(const struct dialogue_settings *settings)
{
	return capability_mechanism(settings, SPAN("PLAIN")) ||
	       capability_mechanism(settings, SPAN("LOGIN"));
}

static void show_row(const struct list *list, const struct command *row, bool mechanisms)
{
	bool legal = command_is_legal(row, list->dialogue->phase) &&
		     (!(row->flags & CMD_PASSWORD) || takes_passwords(list->dialogue->settings));
	struct span rest = span_of(row->capability);

	while (rest.len > 0) {
		struct span item = next_item(&rest);
		bool negative = item.data[0] == '!';
		bool many = item.data[item.len - 1] == '*';

		if (legal == negative || many != mechanisms)
			continue;
		if (many)
			show_mechanisms(list, (struct span) { item.data, item.len - 1 });
		else
			show(list, span_from(item, negative ? 1 : 0), NULL);
	}
}

static bool row_has(const struct command *row, struct span word)
{
	struct span rest = span_of(row->capability);

	while (rest.len > 0) {
		struct span item = next_item(&rest);

		if (item.len == word.len && strncasecmp(item.data, word.data, word.len) == 0)
			return true;
	}
	return false;
}

/* What the pools state may not repeat what the table shows, nor speak of TLS or login: that is the table's alone. */
static bool from_settings_is_fine(const struct dialogue *dialogue, const char *text)
{
	static const char *const ours[] = { "AUTH", "SASL",          "STARTTLS",
					    "STLS", "LOGINDISABLED", "USER",
					    "APOP", "XCLIENT",       "UNAUTHENTICATE" };
	struct span rest = span_of(text), word = span_word(&rest);

	if (word.len == 0)
		return false;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (span_is(word, ours[i]) ||
		    (span_begins(word, ours[i]) && word.data[strlen(ours[i])] == '='))
			return false;
	for (const struct command *row = dialogue->protocol->commands; row->name; row++)
		if (row->capability && row_has(row, word))
			return false;
	return true;
}

void capability_list(const struct dialogue *dialogue, const char *before, const char *after,
		     struct output *output)
{
	const struct list list = { dialogue, before, after, output };
	const char *const *stated = dialogue->settings->capabilities;

	for (int mechanisms = 0; mechanisms <= 1; mechanisms++)
		for (const struct command *row = dialogue->protocol->commands; row->name; row++)
			if (row->capability)
				show_row(&list, row, mechanisms == 1);
	for (; stated && *stated; stated++)
		if (from_settings_is_fine(dialogue, *stated))
			show(&list, span_of(*stated), NULL);
}

const char *capability_mechanism(const struct dialogue_settings *settings, struct span name)
{
	for (const char *const *mechanism = settings->mechanisms; *mechanism; mechanism++)
		if (span_is(name, *mechanism))
			return *mechanism;
	return NULL;
}
