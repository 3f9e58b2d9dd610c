/* config_print - the option table as rows of a Markdown table and as paragraphs of a manual page, so that README.md and
 * postern.conf(5) cannot drift from it.
 * Invariants: one row per option that a file may hold in this version, in the order of the table; a list adds "[]" to its path.
 */
#include "frontend/arena.h"
#include "frontend/config.h"
#include "frontend/option.h"

#include <stdlib.h>

static void print_words(FILE *out, const struct option_word *words, const char *separator)
{
	for (const struct option_word *word = words; word->name != NULL; word++)
		if (!word->unavailable)
			fprintf(out, "%s`%s`", word == words ? "" : separator, word->name);
}

static void print_type(FILE *out, const struct option *row)
{
	switch (row->type) {
	case OPTION_STRING:
		fputs("string", out);
		break;
	case OPTION_PATH:
		fputs("path", out);
		break;
	case OPTION_INT:
		fprintf(out, "number, %d to %d", row->min, row->max);
		break;
	case OPTION_BOOL:
		fputs("true or false", out);
		break;
	case OPTION_WORD:
		print_words(out, row->words, ", ");
		break;
	case OPTION_STRINGS:
		fputs("list of strings", out);
		break;
	case OPTION_NETWORKS:
		fputs("list of networks", out);
		break;
	case OPTION_GROUP:
		fputs("group", out);
		break;
	case OPTION_MAP:
		fputs("group of strings, numbers, true or false", out);
		break;
	case OPTION_LIST:
		fputs("list of groups", out);
		break;
	default:
		break;
	}
}

static void print_default_word(FILE *out, const struct option *row)
{
	for (const struct option_word *word = row->words; word->name != NULL; word++)
		if (word->value == row->number && !word->unavailable) {
			fprintf(out, "`%s`", word->name);
			return;
		}
}

static void print_default(FILE *out, const struct option *row)
{
	if (row->shown != NULL)
		fputs(row->shown, out);
	else if (row->flags & OPTION_REQUIRED)
		fputs("required", out);
	else if (row->type == OPTION_INT)
		fprintf(out, "%d", row->number);
	else if (row->type == OPTION_BOOL)
		fputs(row->number ? "true" : "false", out);
	else if (row->type == OPTION_WORD)
		print_default_word(out, row);
	else if (row->text != NULL)
		fprintf(out, "`%s`", row->text);
	else if (row->type != OPTION_GROUP)
		fputs("none", out);
}

static bool row_shown(const struct option *row)
{
	return !(row->flags & (OPTION_INTERNAL | OPTION_UNAVAILABLE));
}

/* The names of the options in that row begin with it. */
static const char *prefix_of(struct arena *arena, const struct option *row, const char *prefix)
{
	return arena_format(arena, "%s%s%s.", prefix, row->name,
			    row->type == OPTION_LIST ? "[]" : "");
}

static void print_help(FILE *out, const struct option *row)
{
	fprintf(out, "%s%s", row->help,
		row->flags & OPTION_RESTART ? " A change needs a restart." : "");
}

/* ---- as a Markdown table ---- */

static void print_rows(FILE *out, struct arena *arena, const struct option *rows,
		       const char *prefix)
{
	for (const struct option *row = rows; row->name != NULL; row++) {
		if (!row_shown(row))
			continue;
		fprintf(out, "| `%s%s` | ", prefix, row->name);
		print_type(out, row);
		fputs(" | ", out);
		print_default(out, row);
		fputs(" | ", out);
		print_help(out, row);
		fputs(" |\n", out);
		if (row->rows != NULL)
			print_rows(out, arena, row->rows, prefix_of(arena, row, prefix));
	}
}

void config_print_options(FILE *out)
{
	struct arena *arena = arena_new();

	fputs("| option | type | default | meaning |\n|---|---|---|---|\n", out);
	print_rows(out, arena, option_table, "");
	arena_free(arena);
}

/* ---- as a manual page ---- */

/* Text with `words` in it, as roff: those in bold type. */
static void print_roff(FILE *out, const char *text)
{
	bool bold = false;

	for (; *text != '\0'; text++) {
		if (*text == '`') {
			bold = !bold;
			fputs(bold ? "\\fB" : "\\fR", out);
		} else if (*text == '\\') {
			fputs("\\e", out);
		} else if (*text == '-') {
			fputs("\\-", out);
		} else {
			putc(*text, out);
		}
	}
}

/* What a function above prints, as roff; `before` comes first unless that is nothing. */
static void print_part(FILE *out, const char *before, void (*print)(FILE *, const struct option *),
		       const struct option *row)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);

	if (memory == NULL)
		return;
	print(memory, row);
	fclose(memory);
	if (len > 0) {
		fputs(before, out);
		print_roff(out, text);
	}
	free(text);
}

static void print_paragraphs(FILE *out, struct arena *arena, const struct option *rows,
			     const char *prefix)
{
	for (const struct option *row = rows; row->name != NULL; row++) {
		if (!row_shown(row))
			continue;
		fprintf(out, ".TP\n\\fB%s%s\\fR", prefix, row->name);
		print_part(out, " (", print_type, row);
		print_part(out, "; ", print_default, row);
		fputs(")\n", out);
		print_part(out, "", print_help, row);
		fputs("\n", out);
		if (row->rows != NULL)
			print_paragraphs(out, arena, row->rows, prefix_of(arena, row, prefix));
	}
}

void config_print_manual(FILE *out)
{
	struct arena *arena = arena_new();

	print_paragraphs(out, arena, option_table, "");
	arena_free(arena);
}
