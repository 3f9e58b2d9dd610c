"""A steady stream of logins for the soaks: so many a second, and what became of each."""
import collections
import threading
import time

from support import clients

GOODBYE = {"submission": "QUIT", "imap": "z LOGOUT", "pop3": "QUIT"}


class Pump:
    """Logs in `rate` times a second until stopped, taking turns over `targets`: (protocol, port), implicit TLS.

    results counts what the clients saw: "accepted", "temporary: ...", "refused: ...", or how the connection failed.
    When all threads are busy a login is late, never left out."""

    def __init__(self, context, targets, user, password, rate, threads=8):
        self.context, self.targets, self.user, self.password = context, targets, user, password
        self.interval = 1 / rate
        self.results = collections.Counter()
        self.waits = []         # seconds, of those that were accepted
        self.failed_at = []     # of those that were not
        self._numbers = iter(range(1 << 30))
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def _work(self):
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            delay = self.begin + number * self.interval - time.monotonic()
            if delay > 0 and self._stop.wait(delay):
                return
            begin = time.monotonic()
            outcome = self._login(*self.targets[number % len(self.targets)])
            with self._lock:
                self.results[outcome] += 1
                if outcome == "accepted":
                    self.waits.append(time.monotonic() - begin)
                else:
                    self.failed_at.append((time.monotonic() - self.begin, outcome))

    def _login(self, protocol, port):
        try:
            with clients.reach(port, protocol, "implicit", self.context) as wire:
                answer = clients.log_in(wire, protocol, self.user, self.password)
                if answer.startswith(clients.ACCEPTED[protocol]):
                    wire.reply(protocol, GOODBYE[protocol])
                    return "accepted"
                if not answer:
                    return f"connection: {protocol} ended"
                kind = "temporary" if answer.startswith(clients.TEMPORARY[protocol]) else "refused"
                return f"{kind}: {protocol} {answer[:60]!r}"
        except (OSError, AssertionError) as fault:
            return f"connection: {type(fault).__name__} {str(fault)[:60]!r}"

    def __enter__(self):
        self.begin = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self.begin

    def report(self):
        waits = sorted(self.waits) or [0]
        print("logins: %d in %.0f s, %.0f a second; median %.1f ms, most %.1f ms" %
              (sum(self.results.values()), self.seconds, sum(self.results.values()) / self.seconds,
               waits[len(waits) // 2] * 1000, waits[-1] * 1000))
        for outcome, count in self.results.most_common():
            print("  %6d %s" % (count, outcome))
