/* ocsp_http - see ocsp_http.h. The library says which sockets it wants to be woken for and when it wants to be called; our loop does both.
 * Names are looked up in a thread of the library's own; one that is still at it when its question is over is left behind, or the loop would
 * stand until the name servers have been given up.
 */
#include "frontend/ocsp_http.h"
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#define LIBRARY       "libcurl-gnutls.so.4"
#define REDIRECTS_MAX 3L

/* The functions that we use, under the library's own types. */
static struct {
	void *handle;
	__typeof__(&curl_global_init) global_init;
	__typeof__(&curl_easy_init) easy_init;
	__typeof__(&curl_easy_setopt) easy_setopt;
	__typeof__(&curl_easy_getinfo) easy_getinfo;
	__typeof__(&curl_easy_cleanup) easy_cleanup;
	__typeof__(&curl_easy_strerror) easy_strerror;
	__typeof__(&curl_multi_init) multi_init;
	__typeof__(&curl_multi_setopt) multi_setopt;
	__typeof__(&curl_multi_add_handle) multi_add_handle;
	__typeof__(&curl_multi_remove_handle) multi_remove_handle;
	__typeof__(&curl_multi_socket_action) multi_socket_action;
	__typeof__(&curl_multi_assign) multi_assign;
	__typeof__(&curl_multi_info_read) multi_info_read;
	__typeof__(&curl_multi_cleanup) multi_cleanup;
	__typeof__(&curl_slist_append) slist_append;
	__typeof__(&curl_slist_free_all) slist_free_all;
} curl;

struct question {
	LIST_ENTRY(question) next;
	struct ocsp_http *http;
	CURL *easy;
	uint64_t id;
	uint8_t *data;
	size_t len;
	bool too_long;
};

/* A socket of the library's, as long as it wants to be woken for it. */
struct watched {
	LIST_ENTRY(watched) next;
	struct ocsp_http *http;
	ev_io io;
};

struct ocsp_http {
	struct ev_loop *loop;
	ocsp_http_done *done;
	void *owner;
	CURLM *multi;
	struct curl_slist *headers;
	ev_timer timer;
	LIST_HEAD(, question) questions;
	LIST_HEAD(, watched) watched;
};

static bool find(void *pointer, const char *name)
{
	void *symbol = dlsym(curl.handle, name);

	memcpy(pointer, &symbol, sizeof(symbol)); /* a function's address through a void pointer */
	return symbol != NULL;
}

static bool find_all(void)
{
	return find(&curl.global_init, "curl_global_init") &&
	       find(&curl.easy_init, "curl_easy_init") &&
	       find(&curl.easy_setopt, "curl_easy_setopt") &&
	       find(&curl.easy_getinfo, "curl_easy_getinfo") &&
	       find(&curl.easy_cleanup, "curl_easy_cleanup") &&
	       find(&curl.easy_strerror, "curl_easy_strerror") &&
	       find(&curl.multi_init, "curl_multi_init") &&
	       find(&curl.multi_setopt, "curl_multi_setopt") &&
	       find(&curl.multi_add_handle, "curl_multi_add_handle") &&
	       find(&curl.multi_remove_handle, "curl_multi_remove_handle") &&
	       find(&curl.multi_socket_action, "curl_multi_socket_action") &&
	       find(&curl.multi_assign, "curl_multi_assign") &&
	       find(&curl.multi_info_read, "curl_multi_info_read") &&
	       find(&curl.multi_cleanup, "curl_multi_cleanup") &&
	       find(&curl.slist_append, "curl_slist_append") &&
	       find(&curl.slist_free_all, "curl_slist_free_all");
}

bool ocsp_http_available(char why[256])
{
	if (curl.handle != NULL)
		return true;
	curl.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (curl.handle == NULL) {
		snprintf(why, 256, "the library for it is not there: %s", dlerror());
		return false;
	}
	if (find_all() && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return true;
	snprintf(why, 256, "%s is not the library that it should be", LIBRARY);
	dlclose(curl.handle);
	curl.handle = NULL;
	return false;
}

/* ---- a question ---- */

static void question_free(struct question *question)
{
	if (question->easy != NULL) {
		curl.multi_remove_handle(question->http->multi, question->easy);
		curl.easy_cleanup(question->easy);
	}
	LIST_REMOVE(question, next);
	free(question->data);
	free(question);
}

/* Less than what came tells the library to give up. */
static size_t take(char *data, size_t size, size_t count, void *owner)
{
	struct question *question = owner;
	size_t len = size * count;
	uint8_t *grown;

	if (len > OCSP_HTTP_ANSWER_MAX - question->len) {
		question->too_long = true;
		return 0;
	}
	grown = realloc(question->data, question->len + len + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + question->len, data, len);
	question->data = grown;
	question->len += len;
	return len;
}

static bool set_options(struct question *question, const char *url, const uint8_t *body, size_t len)
{
	CURL *easy = question->easy;

	return curl.easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)len) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_HTTPHEADER, question->http->headers) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_TIMEOUT, OCSP_HTTP_SECONDS) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_WRITEDATA, question) == CURLE_OK &&
	       curl.easy_setopt(easy, CURLOPT_PRIVATE, question) == CURLE_OK;
}

bool ocsp_http_ask(struct ocsp_http *http, uint64_t id, const char *url, const uint8_t *body,
		   size_t len)
{
	struct question *question = calloc(1, sizeof(*question));

	if (question == NULL)
		return false;
	question->http = http;
	question->id = id;
	LIST_INSERT_HEAD(&http->questions, question, next);
	question->easy = curl.easy_init();
	if (question->easy != NULL && strncasecmp(url, "http://", 7) == 0 &&
	    set_options(question, url, body, len) &&
	    curl.multi_add_handle(http->multi, question->easy) == CURLM_OK)
		return true;
	question_free(question);
	return false;
}

static void answer(struct question *question, CURLcode result)
{
	struct ocsp_http_answer words = { NULL, question->data, question->len };
	struct ocsp_http *http = question->http;
	char text[64];
	long status = 0;

	curl.easy_getinfo(question->easy, CURLINFO_RESPONSE_CODE, &status);
	if (question->too_long) {
		words.error = "the answer is too long";
	} else if (result != CURLE_OK) {
		words.error = curl.easy_strerror(result);
	} else if (status != 200) {
		snprintf(text, sizeof(text), "HTTP status %ld", status);
		words.error = text;
	}
	http->done(http->owner, question->id, &words);
	question_free(question);
}

/* ---- the library and our loop ---- */

static void act(struct ocsp_http *http, curl_socket_t socket, int events)
{
	struct CURLMsg *message;
	int left;

	curl.multi_socket_action(http->multi, socket, events, &left);
	while ((message = curl.multi_info_read(http->multi, &left)) != NULL) {
		char *question = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &question);
		answer((struct question *)(void *)question, message->data.result);
	}
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct watched *watched = io->data;

	act(watched->http, io->fd,
	    (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void timer_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void forget(struct watched *watched)
{
	ev_io_stop(watched->http->loop, &watched->io);
	LIST_REMOVE(watched, next);
	free(watched);
}

static struct watched *watch_new(struct ocsp_http *http, curl_socket_t socket)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (watched == NULL)
		return NULL;
	watched->http = http;
	ev_init(&watched->io, socket_ready);
	watched->io.data = watched;
	LIST_INSERT_HEAD(&http->watched, watched, next);
	curl.multi_assign(http->multi, socket, watched);
	return watched;
}

/* Without memory the question ends by its timeout. */
static int socket_wanted(CURL *easy, curl_socket_t socket, int what, void *owner, void *known)
{
	struct ocsp_http *http = owner;
	struct watched *watched = known;

	if (what == CURL_POLL_REMOVE) {
		if (watched != NULL)
			forget(watched);
		return 0;
	}
	if (watched == NULL)
		watched = watch_new(http, socket);
	if (watched == NULL)
		return 0;
	ev_io_stop(http->loop, &watched->io);
	ev_io_set(&watched->io, socket,
		  (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	ev_io_start(http->loop, &watched->io);
	return 0;
}

static int timer_wanted(CURLM *multi, long milliseconds, void *owner)
{
	struct ocsp_http *http = owner;

	ev_timer_stop(http->loop, &http->timer);
	if (milliseconds < 0)
		return 0;
	ev_timer_set(&http->timer, (double)milliseconds / 1000, 0);
	ev_timer_start(http->loop, &http->timer);
	return 0;
}

struct ocsp_http *ocsp_http_new(struct ev_loop *loop, ocsp_http_done *done, void *owner,
				char why[256])
{
	struct ocsp_http *http = ocsp_http_available(why) ? calloc(1, sizeof(*http)) : NULL;

	if (http == NULL)
		return NULL;
	*http = (struct ocsp_http) { .loop = loop, .done = done, .owner = owner };
	LIST_INIT(&http->questions);
	LIST_INIT(&http->watched);
	ev_init(&http->timer, timer_passed);
	http->timer.data = http;
	http->headers = curl.slist_append(NULL, "Content-Type: application/ocsp-request");
	http->multi = curl.multi_init();
	if (http->headers != NULL && http->multi != NULL &&
	    curl.multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
	    curl.multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
	    curl.multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK &&
	    curl.multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK)
		return http;
	snprintf(why, 256, "%s does not start", LIBRARY);
	ocsp_http_free(http);
	return NULL;
}

void ocsp_http_free(struct ocsp_http *http)
{
	if (http == NULL)
		return;
	for (struct question *question = LIST_FIRST(&http->questions), *next; question != NULL;
	     question = next) {
		next = LIST_NEXT(question, next);
		question_free(question);
	}
	if (http->multi != NULL)
		curl.multi_cleanup(http->multi);
	for (struct watched *watched = LIST_FIRST(&http->watched), *next; watched != NULL;
	     watched = next) {
		next = LIST_NEXT(watched, next);
		forget(watched);
	}
	ev_timer_stop(http->loop, &http->timer);
	curl.slist_free_all(http->headers);
	free(http);
}
