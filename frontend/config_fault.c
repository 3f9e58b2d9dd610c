/* config_fault - faults in a configuration, and where its values stand.
 * Invariants: a fault is one line of text whatever the file holds; places live in the loader only, never in the config.
 */
#include "frontend/config_load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct config_place {
	struct config_place *next;
	const void *field;
	struct config_source source;
};

struct config_mark {
	struct config_mark *next;
	const void *item;
};

/* Values are quoted in texts: a line break or control byte in one must not make a second line. */
static void clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 5, 0))) static void fault_add(struct config_faults *faults,
							    bool warning, const char *file,
							    int line, const char *format,
							    va_list args)
{
	struct config_fault *items =
		reallocarray(faults->items, faults->count + 1, sizeof *faults->items);
	struct config_fault *fault;

	if (items == NULL)
		abort();
	faults->items = items;
	fault = &items[faults->count];
	fault->file = strdup(file);
	if (fault->file == NULL || vasprintf(&fault->text, format, args) < 0)
		abort();
	clean(fault->file);
	clean(fault->text);
	fault->line = line;
	fault->warning = warning;
	faults->count++;
	faults->errors += warning ? 0 : 1;
}

void config_fault(struct config_faults *faults, bool warning, const char *file, int line,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fault_add(faults, warning, file, line, format, args);
	va_end(args);
}

void config_faults_cleanup(struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		free(faults->items[i].file);
		free(faults->items[i].text);
	}
	free(faults->items);
	memset(faults, 0, sizeof *faults);
}

void config_faults_print(const struct config_faults *faults, FILE *out)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct config_fault *fault = &faults->items[i];

		fputs(fault->file, out);
		if (fault->line > 0)
			fprintf(out, ":%d", fault->line);
		fprintf(out, ": %s: %s\n", fault->warning ? "warning" : "error", fault->text);
	}
}

bool loader_cut(const struct config_loader *loader, int line)
{
	for (size_t i = loader->scan_begin; i < loader->scan_end; i++)
		if (loader->faults->items[i].line == line)
			return true;
	return false;
}

void place_add(struct config_loader *loader, const void *field, struct config_source source)
{
	struct config_place *place = arena_alloc(loader->scratch, sizeof *place);

	place->field = field;
	place->source = source;
	place->next = loader->places;
	loader->places = place;
}

const struct config_source *place_find(const struct config_loader *loader, const void *field)
{
	for (const struct config_place *place = loader->places; place != NULL; place = place->next)
		if (place->field == field)
			return &place->source;
	return NULL;
}

void doubt_add(struct config_loader *loader, const void *item)
{
	struct config_mark *mark = arena_alloc(loader->scratch, sizeof *mark);

	mark->item = item;
	mark->next = loader->doubts;
	loader->doubts = mark;
}

bool doubtful(const struct config_loader *loader, const void *item)
{
	for (const struct config_mark *mark = loader->doubts; mark != NULL; mark = mark->next)
		if (mark->item == item)
			return true;
	return false;
}

static struct config_source fault_place(const struct config_loader *loader, const void *field,
					const struct config_source *group)
{
	const struct config_source *source = field == NULL ? NULL : place_find(loader, field);

	if (source != NULL)
		return *source;
	return group != NULL ? *group : (struct config_source) { loader->path, 0 };
}

void config_error_at(struct config_loader *loader, const void *field,
		     const struct config_source *group, const char *format, ...)
{
	struct config_source source = fault_place(loader, field, group);
	va_list args;

	va_start(args, format);
	fault_add(loader->faults, false, source.file, source.line, format, args);
	va_end(args);
}

void config_warning_at(struct config_loader *loader, const void *field,
		       const struct config_source *group, const char *format, ...)
{
	struct config_source source = fault_place(loader, field, group);
	va_list args;

	va_start(args, format);
	fault_add(loader->faults, true, source.file, source.line, format, args);
	va_end(args);
}
