/* status - see status.h. */
#include "frontend/status.h"
#include "frontend/metrics.h"
#include "frontend/status_certificates.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_labels(FILE *out, const char *metric, const struct watch_view *view)
{
	char text[ADDRESS_TEXT_MAX];

	fprintf(out, "%s{", metric);
	status_label(out, "pool", view->pool);
	fputc(',', out);
	status_label(out, "host", view->host);
	fputc(',', out);
	status_label(out, "address", address_text(&view->address->u.any, text));
	fputs("} ", out);
}

/* A server that has not been looked at yet is in neither family. */
static void print_up(void *owner, const struct watch_view *view)
{
	if (view->health == HEALTH_UNKNOWN)
		return;
	print_labels(owner, "postern_backend_up", view);
	fprintf(owner, "%d\n", view->health == HEALTH_UP);
}

static void print_seconds(void *owner, const struct watch_view *view)
{
	if (view->health == HEALTH_UNKNOWN)
		return;
	print_labels(owner, "postern_backend_probe_seconds", view);
	fprintf(owner, "%.6f\n", view->seconds);
}

static void print_metrics(const struct shared *shared, const struct watch *watch,
			  const struct book *book, FILE *out)
{
	metrics_print(shared, out);
	if (book != NULL)
		status_certificates(book, (int64_t)time(NULL), out);
	fprintf(out,
		"# HELP postern_config_generation The configuration in force, counted from the "
		"start.\n# TYPE postern_config_generation gauge\npostern_config_generation %u\n",
		watch_generation(watch));
	fputs("# HELP postern_backend_up Whether a server answers as it should.\n"
	      "# TYPE postern_backend_up gauge\n",
	      out);
	watch_each(watch, print_up, out);
	fputs("# HELP postern_backend_probe_seconds Seconds that the last look at it took.\n"
	      "# TYPE postern_backend_probe_seconds gauge\n",
	      out);
	watch_each(watch, print_seconds, out);
}

static bool is_routed(const struct config *config, size_t pool)
{
	for (size_t i = 0; i < config->routes.count; i++)
		for (int protocol = 0; protocol < PROTOCOLS; protocol++)
			if (config->routes.items[i].pools[protocol] == (int)pool)
				return true;
	return false;
}

/* Every pool that a login may be led to needs a server that is not known to be down. */
static unsigned print_health(const struct watch *watch, FILE *out)
{
	const struct config *config = watch_config(watch);
	unsigned code = 200;

	for (size_t i = 0; i < config->pools.count; i++) {
		if (!is_routed(config, i) || watch_pool_usable(watch, i))
			continue;
		code = 503;
		fprintf(out, "down: %s\n", config->pools.items[i].name);
	}
	if (code == 200)
		fputs("ok\n", out);
	return code;
}

bool status_page(const char *path, const struct shared *shared, const struct watch *watch,
		 const struct book *book, struct status_page *out)
{
	bool metrics = strcmp(path, "/metrics") == 0;
	FILE *text;

	if (!metrics && strcmp(path, "/healthz") != 0)
		return false;
	*out = (struct status_page) { .code = 200 };
	text = open_memstream(&out->text, &out->len);
	if (text == NULL)
		return false;
	out->type =
		metrics ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8";
	if (metrics)
		print_metrics(shared, watch, book, text);
	else
		out->code = print_health(watch, text);
	if (fclose(text) == 0)
		return true;
	free(out->text);
	return false;
}
