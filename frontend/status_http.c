/* status_http - see status_http.h. The library has no thread and no loop of its own here: it gives one epoll descriptor, which our
 * loop watches, and says when it wants to be run again.
 */
#include "frontend/status_http.h"
#include <dlfcn.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY         "libmicrohttpd.so.12"
#define CONNECTIONS_MAX 16u
#define ADDRESS_MAX     8u                 /* of one address */
#define TIMEOUT_SECONDS 10u                /* without a byte */
#define MEMORY_MAX      ((size_t)16 << 10) /* of one connection: a request longer than that is refused */

/* The functions that we use, under the library's own types. */
static struct {
	void *handle;
	__typeof__(&MHD_start_daemon) start;
	__typeof__(&MHD_stop_daemon) stop;
	__typeof__(&MHD_run) run;
	__typeof__(&MHD_get_timeout) timeout;
	__typeof__(&MHD_get_daemon_info) info;
	__typeof__(&MHD_create_response_from_buffer) response;
	__typeof__(&MHD_destroy_response) destroy;
	__typeof__(&MHD_add_response_header) header;
	__typeof__(&MHD_queue_response) queue;
} mhd;

struct status_http {
	struct ev_loop *loop;
	const struct status_http_handlers *handlers;
	void *owner;
	struct MHD_Daemon *daemon;
	ev_io io;
	ev_timer timer;
};

static bool find(void *pointer, const char *name)
{
	void *symbol = dlsym(mhd.handle, name);

	memcpy(pointer, &symbol, sizeof(symbol)); /* a function's address through a void pointer */
	return symbol != NULL;
}

bool status_http_available(char why[256])
{
	if (mhd.handle != NULL)
		return true;
	mhd.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (mhd.handle == NULL) {
		snprintf(why, 256, "the library for it is not there: %s", dlerror());
		return false;
	}
	if (find(&mhd.start, "MHD_start_daemon") && find(&mhd.stop, "MHD_stop_daemon") &&
	    find(&mhd.run, "MHD_run") && find(&mhd.timeout, "MHD_get_timeout") &&
	    find(&mhd.info, "MHD_get_daemon_info") &&
	    find(&mhd.response, "MHD_create_response_from_buffer") &&
	    find(&mhd.destroy, "MHD_destroy_response") &&
	    find(&mhd.header, "MHD_add_response_header") && find(&mhd.queue, "MHD_queue_response"))
		return true;
	snprintf(why, 256, "%s is not the library that it should be", LIBRARY);
	dlclose(mhd.handle);
	mhd.handle = NULL;
	return false;
}

/* Takes the text. */
static enum MHD_Result answer(struct MHD_Connection *connection, const struct status_page *page)
{
	struct MHD_Response *response = mhd.response(page->len, page->text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL) {
		free(page->text);
		return MHD_NO;
	}
	mhd.header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
	mhd.header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = mhd.queue(connection, page->code, response);
	mhd.destroy(response);
	return result;
}

static enum MHD_Result answer_short(struct MHD_Connection *connection, unsigned code,
				    const char *words)
{
	struct status_page page = { .code = code, .type = "text/plain" };

	page.text = strdup(words);
	if (page.text == NULL)
		return MHD_NO;
	page.len = strlen(words);
	return answer(connection, &page);
}

static enum MHD_Result request(void *owner, struct MHD_Connection *connection, const char *path,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **state)
{
	struct status_http *http = owner;
	struct status_page page;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_short(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD only\n");
	if (!http->handlers->page(http->owner, path, &page))
		return answer_short(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
	return answer(connection, &page);
}

static enum MHD_Result admit(void *owner, const struct sockaddr *address, socklen_t len)
{
	struct status_http *http = owner;

	return http->handlers->allowed(http->owner, address) ? MHD_YES : MHD_NO;
}

/* Lets the library work, and asks when it wants to again. */
static void run(struct status_http *http)
{
	MHD_UNSIGNED_LONG_LONG milliseconds;

	mhd.run(http->daemon);
	ev_timer_stop(http->loop, &http->timer);
	if (mhd.timeout(http->daemon, &milliseconds) != MHD_YES)
		return;
	ev_timer_set(&http->timer, (double)milliseconds / 1000, 0);
	ev_timer_start(http->loop, &http->timer);
}

static void ready(struct ev_loop *loop, ev_io *io, int events)
{
	run(io->data);
}

static void timer_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	run(timer->data);
}

struct status_http *status_http_new(struct ev_loop *loop, int fd,
				    const struct status_http_handlers *handlers, void *owner,
				    char why[256])
{
	const union MHD_DaemonInfo *info;
	struct status_http *http = NULL;

	if (status_http_available(why))
		http = calloc(1, sizeof(*http));
	if (http == NULL) {
		close(fd);
		return NULL;
	}
	http->loop = loop;
	http->handlers = handlers;
	http->owner = owner;
	http->daemon = mhd.start(MHD_USE_EPOLL, 0, admit, http, request, http,
				 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				 CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, ADDRESS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_MAX, MHD_OPTION_END);
	info = http->daemon ? mhd.info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info == NULL) {
		snprintf(why, 256, "%s does not start", LIBRARY);
		if (http->daemon != NULL)
			mhd.stop(http->daemon);
		else
			close(fd);
		free(http);
		return NULL;
	}
	ev_io_init(&http->io, ready, info->epoll_fd, EV_READ);
	ev_timer_init(&http->timer, timer_passed, 0, 0);
	http->io.data = http->timer.data = http;
	ev_io_start(loop, &http->io);
	run(http);
	return http;
}

void status_http_free(struct status_http *http)
{
	if (http == NULL)
		return;
	ev_io_stop(http->loop, &http->io);
	ev_timer_stop(http->loop, &http->timer);
	mhd.stop(http->daemon);
	free(http);
}
