#!/usr/bin/python3
"""What a client waits for MAIL, 50 RCPT and DATA: pipelined and one by one, straight to a store and through Postern.

The store is --distance milliseconds away: it answers all that has come by then, that much later."""
import argparse
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, liars  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402

COMMANDS = ["MAIL FROM:<a@example.test>\r\n", *["RCPT TO:<r%d@example.test>\r\n" % n for n in range(50)], "DATA\r\n"]


class DistantStore(liars.SubmissionStore):
    def __init__(self, distance, extensions):
        super().__init__(None, extensions=extensions)
        self.distance = distance

    def command(self, talk):
        if not talk.data:
            talk.fill()
            time.sleep(self.distance)
        return super().command(talk)


def transaction(wire, pipelined):
    begin = time.monotonic()
    groups = ["".join(COMMANDS)] if pipelined else COMMANDS
    for group in groups:
        wire.send(group)
        for _ in range(group.count("\r\n")):
            assert wire.smtp()[0] in "23"
    seconds = time.monotonic() - begin
    wire.send("text\r\n.\r\n")
    assert wire.smtp().startswith("250")
    return seconds


def straight(port):
    wire = clients.Wire(port)
    wire.smtp()
    assert wire.smtp("EHLO bench.example.test").startswith("250")
    assert wire.smtp("AUTH PLAIN AGEAYg==").startswith("235")
    return wire


def measure(enter, pipelined, count):
    with enter() as wire:
        return min(transaction(wire, pipelined) for _ in range(count)) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distance", type=float, default=20, help="milliseconds (20)")
    parser.add_argument("--count", type=int, default=5, help="transactions of each kind, of which the best counts (5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        print("MAIL, 50 RCPT, DATA to a store %g ms away      straight    through Postern" % arguments.distance)
        for name, extensions in (("with PIPELINING", ("PIPELINING", "SIZE 1000")), ("without PIPELINING", ("SIZE 1000",))):
            with liars.Fake(DistantStore(arguments.distance / 1000, extensions)) as store:
                configuration = Configuration(certificate, [Backend("submission", store.port)],
                                              listeners=[Listener("submission", "implicit")], limits="drain_timeout = 1;")
                with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                    port = front.port("submission", "implicit")
                    for way, pipelined in (("pipelined", True), ("one by one", False)):
                        print("%-18s  client: %-10s        %8.1f ms        %8.1f ms" % (
                            name, way, measure(lambda: straight(store.port), pipelined, arguments.count),
                            measure(lambda: clients.enter(port, "submission", "implicit", context, "a", "b"), pipelined,
                                    arguments.count)))


if __name__ == "__main__":
    main()
