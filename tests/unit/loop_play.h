/* The test's own event loop, and waiting in it; included by one test program each. */
#ifndef TESTS_UNIT_LOOP_PLAY_H
#define TESTS_UNIT_LOOP_PLAY_H

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

static struct ev_loop *loop;

static inline void on_watchdog(struct ev_loop *of, ev_timer *timer, int events)
{
	fprintf(stderr, "waited in vain\n");
	abort();
}

/* Runs the loop until *value is `wanted` or more. */
static inline void wait_for(const unsigned *value, unsigned wanted)
{
	ev_timer watchdog;

	ev_timer_init(&watchdog, on_watchdog, 20., 0.);
	ev_timer_start(loop, &watchdog);
	while (*value < wanted)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &watchdog);
}

#endif
