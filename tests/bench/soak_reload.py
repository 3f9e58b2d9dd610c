#!/usr/bin/python3
"""Live sessions through many reloads, with logins going on: how many sessions are lost, how many logins fail.

Half of the sessions idle (IMAP IDLE), the others stand in the middle of a FETCH or of DATA. The reloads change the
certificate, the listeners, the pools and the limits by turns; one in eleven is broken and must change nothing. At the end every
session is brought to its end: the message that comes must be whole, the one that goes must be accepted.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pump import Pump  # noqa: E402
from support import certificates, clients, ports, process, stores  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402
from support.wait import wait_for  # noqa: E402

SIZE = 3 << 20
LISTENERS = [Listener(name, "implicit") for name in ("submission", "imap", "pop3")]
DOVECOT = """
default_client_limit = 4000
default_process_limit = 1500
service imap-login {
  client_limit = 2000
}
"""


class Idler:
    def __init__(self, front, context):
        self.wire = clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "wonderland")
        assert "OK" in self.wire.imap("s SELECT INBOX")
        assert self.wire.imap("i IDLE").startswith("+")

    def end(self):
        assert "i OK" in self.wire.imap("DONE", tag="i")


class Fetcher:
    """Has taken the first bytes of a large message and no more."""

    def __init__(self, front, context, digest):
        self.digest = digest
        self.wire = clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "wonderland")
        assert "OK" in self.wire.imap("s SELECT INBOX")
        self.wire.send("f FETCH 1 BODY.PEEK[]\r\n")
        line = self.wire.line()
        assert line.endswith("}"), line
        self.size = int(line.rpartition("{")[2][:-1])
        self.taken = self.wire.exactly(1000)

    def end(self):
        whole = self.taken + self.wire.exactly(self.size - len(self.taken))
        assert hashlib.sha256(whole[-SIZE:]).hexdigest() == self.digest
        assert self.wire.line() == ")" and "f OK" in self.wire.imap(tag="f")


class Sender:
    """Has sent half of a message."""

    def __init__(self, front, context):
        self.wire = clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice",
                                  "wonderland")
        for line, code in (("EHLO client.example.test", "250"), ("MAIL FROM:<alice@example.test>", "250"),
                           ("RCPT TO:<bob@example.test>", "250"), ("DATA", "354")):
            answer = self.wire.smtp(line)
            assert answer.startswith(code), answer
        self.wire.send("Subject: half\r\n\r\nfirst half\r\n")

    def end(self):
        answer = self.wire.smtp("second half\r\n.")
        assert answer.startswith("250"), answer


class Changes:
    """The configurations of one reload after another."""

    def __init__(self, folder, authority, backends, certificate):
        self.backends, self.certificate = backends, certificate
        self.others = [certificates.make_certificate(os.path.join(folder, "other"), authority, ("localhost", "127.0.0.1"))
                       for _ in range(2)]
        self.misfit = certificates.make_certificate(os.path.join(folder, "misfit"), authority, ("localhost",))
        self.extra = [Listener("imap", "starttls", port=ports.free_port()), Listener("pop3", "starttls", port=ports.free_port())]

    def certificate_of(self, number):
        """The files keep their names, as a renewal does it; the key first, since nobody reads them before the signal."""
        other = self.others[number % 2]
        shutil.copy(other.key, self.certificate.key)
        shutil.copy(other.chain, self.certificate.chain)

    def good(self, number):
        self.certificate_of(number)
        extra = [listener for bit, listener in enumerate(self.extra) if number >> bit & 1]
        backends = [Backend(one.protocol, one.port, name=f"{one.pool()}-{number % 5}") for one in self.backends]
        return Configuration(self.certificate, backends, listeners=LISTENERS + extra,
                             limits=f"drain_timeout = 2; max_sessions_per_address = {5000 + number}; "
                                    f"preauth_timeout = {60 + number % 7};", monitor="")

    def broken(self, number):
        good = self.good(0).text()
        return [good + "nonsense = 1;", good.replace("backends = (", "backends = (("),
                good.replace(self.certificate.key, self.misfit.key),
                good.replace("routes = ( {", 'routes = ( { imap = "nobody";')][number % 4]


def reload(front, text):
    """Whether it was put in force."""
    def ends():
        return [event for event in front.events("reload") if "result" in event or "stays in force" in event.get("message", "")]
    before = len(ends())
    front.configure(text)
    front.signal(signal.SIGHUP)
    wait_for(lambda: len(ends()) > before, lambda: "the end of the reload\n" + front.log()[-3000:])
    return ends()[before].get("result") == "done"


def sizes(front):
    found = {"supervisor": process.resident_memory(front.pid)}
    for kind in ("worker", "auth", "keeper", "monitor"):
        for number, pid in enumerate(sorted(front.children(kind))):
            found[f"{kind} {number}"] = process.resident_memory(pid)
    return found


def make_sessions(front, context, count, digest):
    made = [Idler(front, context) for _ in range(count // 2)]
    made += [Fetcher(front, context, digest) for _ in range(count * 3 // 10)]
    return made + [Sender(front, context) for _ in range(count - len(made))]


def end_sessions(sessions):
    lost = []
    for one in sessions:
        try:
            one.end()
        except Exception as fault:
            lost.append(f"{type(one).__name__}: {type(fault).__name__} {str(fault)[:80]}")
        one.wire.close()
    return lost


def put_message(front, context):
    """A message whose last SIZE bytes have that hash, as the first in alice's inbox."""
    body = ("0123456789abcdef" * 4 + "\r\n").encode() * (SIZE // 66)
    body = b"x" * (SIZE - len(body) - 2) + b"\r\n" + body
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "wonderland") as wire:
        text = b"Subject: large\r\n\r\n" + body
        assert wire.imap("a APPEND INBOX {%d}" % len(text)).startswith("+")
        wire.send(text)
        assert "a OK" in wire.imap("", tag="a")
    return hashlib.sha256(body).hexdigest()


def soak(front, context, changes, options):
    digest = put_message(front, context)
    sessions = make_sessions(front, context, options.sessions, digest)
    targets = [(one.protocol, front.port(one.protocol, "implicit")) for one in LISTENERS]
    reload(front, changes.good(0))    # so that both sides of the comparison have seen one
    before = sizes(front)
    done = refused = wrong = 0
    begin = time.monotonic()
    with Pump(context, targets, "alice", "wonderland", options.rate) as pump:
        for number in range(1, options.reloads + options.broken + 1):
            broken = number % (options.reloads // max(options.broken, 1) + 1) == 0 and refused < options.broken
            in_force = reload(front, changes.broken(number) if broken else changes.good(number))
            wrong += in_force == broken
            done, refused = done + in_force, refused + (not in_force)
            time.sleep(options.pause)
    seconds = time.monotonic() - begin
    after = sizes(front)
    lost = end_sessions(sessions)
    print("%d reloads put in force and %d refused in %.0f s (%d unlike what was asked)" % (done, refused, seconds, wrong))
    print("sessions: %d held, %d lost" % (len(sessions), len(lost)))
    for text in lost[:10]:
        print("  " + text)
    pump.report()
    print("processes: %d before, %d after; died: %d" % (len(before), len(after), len(front.events("child_died"))))
    for name, size in before.items():
        print("%-12s %7d KiB before, %7d KiB after, %+d KiB" % (name, size >> 10, after.get(name, 0) >> 10,
                                                                (after.get(name, 0) - size) >> 10))
    failed = sum(pump.results.values()) - pump.results["accepted"]
    return not (lost or failed or wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--broken", type=int, default=20)
    parser.add_argument("--rate", type=float, default=20, help="logins a second")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two reloads")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(os.path.join(folder, "ca"))
        certificate = certificates.make_certificate(os.path.join(folder, "live"), ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        dovecot = stores.Dovecot(settings=DOVECOT).start()
        postfix = stores.Postfix(dovecot=dovecot, settings="default_process_limit = 600\n").start()
        try:
            backends = [Backend("imap", dovecot.imap_port), Backend("pop3", dovecot.pop3_port), Backend("submission", postfix.port)]
            changes = Changes(folder, ca, backends, certificate)
            with Postern(tempfile.mkdtemp(dir=folder), changes.good(0), listeners=LISTENERS) as front:
                fine = soak(front, context, changes, options)
        finally:
            postfix.stop()
            dovecot.stop()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
