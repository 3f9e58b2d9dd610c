"""Waiting for something to become true, with a generous deadline instead of a fixed sleep."""
import time
from concurrent.futures import ThreadPoolExecutor

DEADLINE = 20.0
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05


class Timeout(AssertionError):
    """What was waited for did not come."""


def wait_for(predicate, what="the condition", deadline=DEADLINE):
    """Calls predicate until it returns something true, and returns that. `what` names it when the deadline passes; it may
    be a function, which is then asked only on failure."""
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise Timeout(f"{what() if callable(what) else what}: not within {deadline:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def at_once(function, cases):
    """Calls function(*case) for each case in a thread of its own, and returns what they return: deadlines of the program then pass
    side by side."""
    cases = list(cases)
    with ThreadPoolExecutor(len(cases)) as pool:
        return [job.result() for job in [pool.submit(function, *case) for case in cases]]
