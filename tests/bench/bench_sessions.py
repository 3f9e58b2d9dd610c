#!/usr/bin/python3
"""Resident memory of every process of Postern before and after many whole sessions: TLS, login, a command, logout.

One session in ten is cut by a reset, one in ten gives a wrong password, and the protocols take turns.
"""
import argparse
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, liars, process  # noqa: E402
from support.postern import PROTOCOLS, Backend, Configuration, Listener, Postern  # noqa: E402

USERS = {b"alice": b"right"}
GOODBYE = {"submission": "QUIT", "imap": "z LOGOUT", "pop3": "QUIT"}


def one_session(front, number, context):
    protocol = PROTOCOLS[number % 3]
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        if number % 10 == 3:
            assert clients.log_in(wire, protocol, "alice", "wrong").startswith(clients.REFUSED[protocol])
        assert clients.log_in(wire, protocol, "alice", "right").startswith(clients.ACCEPTED[protocol])
        if number % 10 == 7:
            wire.vanish()
        else:
            wire.reply(protocol, GOODBYE[protocol])


def run(front, first, count, context, workers=4):
    numbers = iter(range(first, first + count))
    lock = threading.Lock()
    faults = []

    def work():
        while not faults:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                one_session(front, number, context)
            except Exception as fault:    # shown by the main thread
                faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def memory(front):
    found = {"supervisor": process.resident_memory(front.pid)}
    for kind in ("worker", "auth"):
        for number, pid in enumerate(sorted(front.children(kind))):
            found["%s %d" % (kind, number)] = process.resident_memory(pid)
    return found


def descriptors(front):
    return {pid: process.open_descriptors(pid) for pid in front.children()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        with liars.Fake(liars.ImapStore(USERS)) as imap, liars.Fake(liars.Pop3Store(USERS)) as pop3, \
                liars.Fake(liars.SubmissionStore(USERS)) as submission:
            fakes = {"submission": submission, "imap": imap, "pop3": pop3}
            configuration = Configuration(certificate, [Backend(name, fake.port) for name, fake in fakes.items()],
                                          listeners=[Listener(name, "implicit") for name in fakes],
                                          limits="drain_timeout = 1; failure_delay_ms = 1; failure_delay_max_ms = 1;")
            with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                run(front, 0, 300, context)
                before, held = memory(front), descriptors(front)
                begin = time.monotonic()
                done = 0
                while done < count:
                    step = min(1000, count - done)
                    run(front, done, step, context)
                    done += step
                    for fake in fakes.values():
                        fake.forget()
                seconds = time.monotonic() - begin
                front.wait_event("session_end", count=count + 300)
                after = memory(front)
                print("%d sessions in %.0f s (after 300 to warm up)" % (count, seconds))
                for name, size in before.items():
                    print("%-12s %7d KiB before, %7d KiB after, %+d KiB" %
                          (name, size >> 10, after[name] >> 10, (after[name] - size) >> 10))
                print("descriptors: %s before, %s after" % (sorted(held.values()), sorted(descriptors(front).values())))
                print("children that died: %d" % len(front.events("child_died")))


if __name__ == "__main__":
    main()
