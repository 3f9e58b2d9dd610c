#!/usr/bin/python3
"""A crowd that guesses: how many guesses reach SASL and the store, and what a real user from elsewhere waits meanwhile.

Each of --addresses (127.0.x.y) tries its share of --guesses against one user after another, by IMAP over TLS, in --parallel
sessions at a time, three guesses a session, with the settings as they come. A real user logs in from another address
all the while (by the same program, so his waits hold those for the crowd's own client, too). `--off` switches the counting of failures off, for comparison.
"""
import argparse
import asyncio
import pathlib
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, liars  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402

OFF = "delay_from = 0; refuse_from = 0; user_delay_from = 0;"


class Crowd:
    """Answers by kind, and what is left to guess."""

    def __init__(self, port, context, addresses, guesses):
        self.port, self.context = port, context
        self.left = {"127.0.%d.%d" % (1 + n // 250, 1 + n % 250): guesses // addresses for n in range(addresses)}
        self.answers = {"wrong": 0, "refused for now": 0, "no answer": 0}
        self.serial = 0

    async def session(self, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, local_addr=(address, 0),
                                                       server_hostname="localhost")
        try:
            await reader.readline()
            while self.left[address] > 0:
                self.left[address] -= 1
                self.serial += 1
                writer.write(b"l LOGIN user-%d guess-%d\r\n" % (self.serial % 50, self.serial))
                line = await reader.readline()
                kind = "wrong" if b"AUTHENTICATIONFAILED" in line else "refused for now" if b"UNAVAILABLE" in line else "no answer"
                self.answers[kind] += 1
                if kind == "no answer" or not await self.goes_on(reader):
                    return
        finally:
            writer.close()

    @staticmethod
    async def goes_on(reader):
        """False when a BYE follows at once."""
        try:
            return b"BYE" not in await asyncio.wait_for(reader.readline(), 0.02)
        except asyncio.TimeoutError:
            return True

    async def guesser(self, address):
        while self.left[address] > 0:
            try:
                await self.session(address)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.2)

    async def run(self, parallel, user):
        waits = []
        done = asyncio.Event()
        watch = asyncio.create_task(user(waits, done))
        await asyncio.gather(*(self.guesser(address) for address in self.left for _ in range(parallel)))
        done.set()
        await watch
        return waits


async def log_in(port, context, waits):
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=("127.9.9.9", 0),
                                                   server_hostname="localhost")
    await reader.readline()
    writer.write(b"l LOGIN alice wonderland\r\n")
    while not (line := await reader.readline()).startswith(b"l "):
        pass
    assert line.startswith(b"l OK"), line
    waits.append((time.perf_counter() - begin) * 1000)
    writer.close()


def show(name, waits):
    ordered = sorted(waits)
    print("%-38s %4d logins, median %7.1f ms   95%% %7.1f ms   most %7.1f ms" %
          (name, len(ordered), statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1]))


async def measure(port, context, options):
    calm = []
    for _ in range(50):
        await log_in(port, context, calm)
    show("the real user alone", calm)

    async def user(waits, done):
        while not done.is_set():
            await log_in(port, context, waits)
            await asyncio.sleep(0.1)
    crowd = Crowd(port, context, options.addresses, options.guesses)
    begin = time.perf_counter()
    waits = await crowd.run(options.parallel, user)
    print("%d guesses from %d addresses in %.0f s: %s" % (sum(crowd.answers.values()), options.addresses,
          time.perf_counter() - begin, ", ".join("%d %s" % (count, kind) for kind, count in crowd.answers.items())))
    show("the real user from elsewhere meanwhile", waits)
    return len(calm) + len(waits)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guesses", type=int, default=2000)
    parser.add_argument("--addresses", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=10)
    parser.add_argument("--off", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate, ssl.TLSVersion.TLSv1_3)
        with liars.Fake(liars.ImapStore({b"alice": b"wonderland"})) as fake, \
                Postern(tempfile.mkdtemp(dir=folder),
                        Configuration(certificate, [Backend("imap", fake.port)], listeners=[Listener("imap", "implicit")],
                                      limits="drain_timeout = 1;", guessing=OFF if options.off else "")) as front:
            mine = asyncio.run(measure(front.port("imap", "implicit"), context, options))
            reached = sum("login" in talk.notes for talk in fake.conversations) - mine
            print("guesses that reached SASL and the store: %d; refused before: %d; told to the log: %s" % (
                reached, len(front.events("auth_temporary")),
                ", ".join("%d times %s" % (len(front.events("guessing", answer=answer)), answer) for answer in ("delay", "refuse"))))


if __name__ == "__main__":
    main()
