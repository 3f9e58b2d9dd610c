#!/usr/bin/python3
"""A certificate replaced many times under live sessions and a stream of new logins: sessions lost, logins failed, how long until the new one
is shown, and the memory of each process before and after.

By turns the files are written in place, renamed over the old ones, and turned by links as certbot does it.
"""
import argparse
import os
import pathlib
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pump import Pump  # noqa: E402
from support import certificates, clients, liars, process  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402

PAIRS = 20
PATIENCE = 10.0


class Pair:
    def __init__(self, made):
        with open(made.chain, "rb") as chain, open(made.key, "rb") as key:
            self.chain, self.key = chain.read(), key.read()
        self.leaf = ssl.PEM_cert_to_DER_cert(self.chain.decode("ascii"))


class Live:
    """A pair of files, and the ways to replace them; links at first."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        self.chain, self.key = os.path.join(folder, "fullchain.pem"), os.path.join(folder, "privkey.pem")

    @staticmethod
    def write(path, data):
        with open(path, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)

    def in_place(self, path, data):
        self.write(path, data)

    def over(self, path, data):
        self.write(path + ".new", data)
        os.replace(path + ".new", path)

    def link(self, path, data):
        self.number += 1
        target = os.path.join(self.folder, ".archive-%d" % self.number)
        self.write(target, data)
        os.symlink(target, path + ".new")
        before = os.path.realpath(path)
        os.replace(path + ".new", path)
        if os.path.basename(before).startswith(".archive-"):
            os.unlink(before)

    def replace(self, pair, number):
        how = (self.in_place, self.over, self.link)[number % 3]
        how(self.key, pair.key)
        how(self.chain, pair.chain)


def shown(port, context):
    with clients.reach(port, "imap", "implicit", context) as wire:
        return wire.socket.getpeercert(True)


def seconds_until(port, context, leaf):
    begin = time.monotonic()
    while shown(port, context) != leaf:
        if time.monotonic() - begin > PATIENCE:
            return PATIENCE
        time.sleep(0.02)
    return time.monotonic() - begin


def sizes(front):
    found = {"supervisor": process.resident_memory(front.pid)}
    for kind in ("worker", "auth", "keeper", "monitor"):
        for number, pid in enumerate(sorted(front.children(kind))):
            found[f"{kind} {number}"] = process.resident_memory(pid)
    return found


def make_sessions(port, context, count):
    made = []
    for _ in range(count):
        made.append(clients.enter(port, "imap", "implicit", context, "alice", "right"))
    return made


def silent(sessions):
    """How many of them do not answer."""
    count = 0
    for wire in sessions:
        try:
            count += not wire.imap("n NOOP").split("\n")[-1].startswith("n OK")
        except (OSError, AssertionError):
            count += 1
    return count


def soak(front, live, pairs, context, options):
    port = front.port("imap", "implicit")
    sessions = make_sessions(port, context, options.sessions)
    for number in range(PAIRS):    # so that both sides of the comparison have seen all
        live.replace(pairs[number], number)
        seconds_until(port, context, pairs[number].leaf)
    before, times, begin = sizes(front), [], time.monotonic()
    with Pump(context, [("imap", port)], "alice", "right", options.rate) as pump:
        for number in range(options.renewals):
            pair = pairs[number % PAIRS]
            live.replace(pair, number)
            times.append(seconds_until(port, context, pair.leaf))
            silent(sessions[number % 10::10])    # the store ends one that says nothing for long
    seconds, after = time.monotonic() - begin, sizes(front)
    late = sum(one > 2 for one in times)
    gone = silent(sessions)
    for wire in sessions:
        wire.close()
    print("%d renewals in %.0f s; seen after: median %.2f s, most %.2f s; after more than 2 s: %d" %
          (len(times), seconds, statistics.median(times), max(times), late))
    print("told: %d renewed, %d refused" % (len(front.events("certificate_renewed")), len(front.events("certificate_refused"))))
    print("sessions: %d held, %d lost" % (len(sessions), gone))
    pump.report()
    print("processes: %d before, %d after; died: %d" % (len(before), len(after), len(front.events("child_died"))))
    for name, size in before.items():
        print("%-12s %7d KiB before, %7d KiB after, %+d KiB" % (name, size >> 10, after.get(name, 0) >> 10,
                                                                (after.get(name, 0) - size) >> 10))
    failed = sum(pump.results.values()) - pump.results["accepted"]
    return not (gone or failed or late or front.events("child_died"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--renewals", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20, help="logins a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(os.path.join(folder, "ca"))
        made = [certificates.make_certificate(os.path.join(folder, "made"), ca, ("localhost", "127.0.0.1")) for _ in range(PAIRS)]
        pairs = [Pair(one) for one in made]
        live = Live(os.path.join(folder, "live"))
        os.mkdir(live.folder)
        live.replace(pairs[-1], 0)
        context = clients.tls_context(ca.certificate)
        with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
            configuration = Configuration(live, [Backend("imap", fake.port)], listeners=[Listener("imap", "implicit")],
                                          limits="drain_timeout = 1; max_sessions_per_address = 0;")
            with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                fine = soak(front, live, pairs, context, options)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
