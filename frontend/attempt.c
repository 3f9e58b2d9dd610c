/* attempt - see attempt.h.
 * What a refused attempt hears is the temporary reply: 454 4.7.0, [UNAVAILABLE], [SYS/TEMP]. RFC 4954 6 asks clients not to prompt for
 * another password at 454, and RFC 5530 and RFC 3206 mean their codes so: a good mail program keeps the password and tries
 * again later, where "wrong password" would make it throw a right one away. A guesser learns nothing either way, since
 * the password was not looked at. It hears it after the longest delay, and the session ends as after failed logins.
 */
#include "frontend/attempt.h"
#include "frontend/backend_login.h"
#include "frontend/preauth.h"
#include "frontend/session_log.h"
#include <time.h>

#define WAIT_MILLISECONDS 250u /* until those that are open may have been decided */

static struct guess_view view_of(const struct session *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct guess_view) {
		.shared = s->worker->shared,
		.policy = &s->generation->config->guessing,
		.worker = s->worker->start->index,
		.now = (uint32_t)now.tv_sec,
	};
}

static bool is_exempt(const struct session *s)
{
	const struct config *config = s->generation->config;

	return config_networks_contain(config->guessing.exempt.count > 0 ? &config->guessing.exempt
									 : &config->limits.exempt,
				       &s->peer.u.any);
}

static void refuse(struct session *s)
{
	session_log_auth(s, "auth_temporary", "too many failed logins from this address");
	backend_login_abandon(s);
	s->auth_failures++; /* of this session alone */
	preauth_delay(s, VERDICT_TEMPORARY, (unsigned)s->generation->config->guessing.delay_max);
}

bool attempt_begin(struct session *s, const struct decision *d)
{
	struct guess_view view = view_of(s);
	bool named = d->type == DECIDE_PASSWORD;
	unsigned delay;

	guess_attempt_init(&s->attempt, &view, &s->peer.u.any, is_exempt(s));
	if (named)
		guess_attempt_name(&s->attempt, &view, d->user, d->password);
	else if (d->has_response)
		guess_attempt_response(&s->attempt, &view, d->response);
	if (guess_check(&view, &s->attempt, !named, &delay) != GUESS_REFUSE)
		return true;
	refuse(s);
	return false;
}

void attempt_response(struct session *s, struct span response)
{
	struct guess_view view = view_of(s);

	guess_attempt_response(&s->attempt, &view, response);
}

static void hold(struct session *s, unsigned milliseconds)
{
	s->held = s->waited = true;
	if (s->state != SESSION_DELAY)
		session_enter(s, SESSION_DELAY);
	session_restart_timer(s, milliseconds / 1000.0);
}

void attempt_login(struct session *s)
{
	struct guess_view view = view_of(s);
	bool waited = s->waited;
	unsigned delay;

	s->held = false;
	guess_attempt_name(&s->attempt, &view, s->credential->user, s->credential->password);
	switch (guess_check(&view, &s->attempt, false, &delay)) {
	case GUESS_REFUSE:
		refuse(s);
		return;
	case GUESS_WAIT:
		/* and no less than the delay, if it has one */
		hold(s, waited || delay < WAIT_MILLISECONDS ? WAIT_MILLISECONDS : delay);
		return;
	default:
		break;
	}
	if (delay > 0 && !waited) {
		hold(s, delay);
		return;
	}
	guess_begin(&view, &s->attempt);
	backend_login_begin(s);
}

bool attempt_answered(struct session *s)
{
	struct guess_view view = view_of(s);
	bool named = s->user != NULL;
	unsigned delay;

	if (named)
		guess_attempt_name(&s->attempt, &view, span_of(s->user), SPAN(""));
	if (guess_check(&view, &s->attempt, !named, &delay) != GUESS_REFUSE)
		return true;
	refuse(s);
	return false;
}

unsigned attempt_delay(const struct session *s)
{
	struct guess_view view = view_of(s);
	unsigned delay = 0;

	if (s->generation->config->auth.source != AUTH_SOURCE_BACKEND && !s->waited)
		guess_check(&view, &s->attempt, false, &delay);
	return delay;
}

static void log_news(const struct session *s, const struct guess_news *news)
{
	struct log_line line;
	char prefix[ADDRESS_TEXT_MAX];

	session_log(s, &line, LOG_LEVEL_WARNING, "guessing");
	log_word(&line, "scope", news->scope);
	log_word(&line, "prefix",
		 address_prefix(&s->peer.u.any, strcmp(news->scope, "network") == 0, prefix));
	log_word(&line, "answer", news->answer);
	log_number(&line, "count", news->count);
	log_number(&line, "window", (uint64_t)s->generation->config->guessing.window);
	if (strcmp(news->scope, "user") == 0 && s->user != NULL)
		log_value(&line, "user", span_of(s->user));
	log_end(&line);
}

bool attempt_refused(struct session *s)
{
	struct guess_view view = view_of(s);
	struct guess_news news[GUESS_NEWS_MAX];
	size_t count;
	bool counted = guess_failed(&view, &s->attempt, news, &count);

	attempt_over(s);
	for (size_t i = 0; i < count; i++)
		log_news(s, &news[i]);
	return counted;
}

void attempt_accepted(struct session *s)
{
	struct guess_view view = view_of(s);

	guess_succeeded(&view, &s->attempt);
	attempt_over(s);
}

void attempt_over(struct session *s)
{
	struct guess_view view;

	if (!s->attempt.open)
		return;
	view = view_of(s);
	guess_end(&view, &s->attempt);
}
