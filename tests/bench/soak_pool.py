#!/usr/bin/python3
"""A pool of three Dovecots under a stream of logins while one is killed, one hangs and one is slow, and while they come back.

For each phase: how many logins failed and why, how long an accepted one took, which servers took them; and after a server
comes back how long it is until it takes logins again.
"""
import argparse
import asyncio
import collections
import os
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pump import Pump  # noqa: E402
from support import certificates, clients, stores  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402
from support.wait import Timeout, wait_for  # noqa: E402

LISTENERS = [Listener("imap", "implicit")]


class Delay:
    """A way to a port that holds back what the server says for so many seconds; runs in a thread."""

    def __init__(self, to):
        self.to, self.port, self.seconds = to, free_port(), 0.0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait()

    async def _serve(self, ready):
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1000)
        ready.set()
        await server.serve_forever()

    async def _connected(self, reader, writer):
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", self.to)
            await asyncio.gather(self._copy(reader, before, False), self._copy(behind, writer, True))
        except OSError:
            writer.transport.abort()

    async def _copy(self, reader, writer, slow):
        try:
            while data := await reader.read(65536):
                if slow and self.seconds:
                    await asyncio.sleep(self.seconds)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


class Pool(Backend):
    """A pool of several servers, in this order."""

    def __init__(self, ports):
        super().__init__("imap", ports[0])
        object.__setattr__(self, "ports", ports)

    def text(self):
        one = super().text()
        first = f'{{ host = "127.0.0.1"; port = {self.ports[0]}; }}'
        return one.replace(first, ", ".join(f'{{ host = "127.0.0.1"; port = {port}; }}' for port in self.ports))


def phase(name, front, context, port, options, seconds):
    """Logs in for that long; one line of figures."""
    seen = len(front.events("session_end"))
    with Pump(context, [("imap", port)], "alice", "wonderland", options.rate, threads=24) as pump:
        time.sleep(seconds)
    total = sum(pump.results.values())
    try:
        wait_for(lambda: len(front.events("session_end")) - seen >= total, "the end of every session", 5)
    except Timeout:
        pass
    takers = collections.Counter(event.get("backend", "none").rpartition(":")[2] for event in front.events("session_end")[seen:])
    waits = sorted(pump.waits) or [0]
    print("%-28s %5d logins, %4.0f a second, %3d failed; median %7.1f ms, 99 %% %7.1f ms, most %7.1f ms; by %s" %
          (name, total, total / pump.seconds, total - pump.results["accepted"], waits[len(waits) // 2] * 1000,
           waits[len(waits) * 99 // 100] * 1000, waits[-1] * 1000, dict(takers)))
    for outcome, count in pump.results.items():
        if outcome != "accepted":
            print("    %d %s" % (count, outcome))
    return pump


def recovery(name, front, context, port, server):
    """Seconds until that server takes a login again."""
    begin = time.monotonic()
    while time.monotonic() - begin < 60:
        seen = len(front.events("session_end"))
        with clients.enter(port, "imap", "implicit", context, "alice", "wonderland") as wire:
            wire.imap("z LOGOUT")
        front.wait_event("session_end", count=seen + 1)
        if front.events("session_end")[-1]["backend"].endswith(f":{server}"):
            print("%-28s takes logins again after %.1f s" % (name, time.monotonic() - begin))
            return
        time.sleep(0.2)
    print("%-28s does not take logins again within 60 s" % name)


def soak(front, context, dovecots, slow, options):
    port = front.port("imap", "implicit")
    first, second, third = (dovecots[0].imap_port, dovecots[1].imap_port, slow.port)
    print("servers: %d (is killed), %d (hangs), %d (is slow)" % (first, second, third))
    pumps = [phase("all are well", front, context, port, options, options.seconds)]
    dovecots[0].stop(keep=True)
    pumps.append(phase("the first is dead", front, context, port, options, options.seconds))
    dovecots[1].pause()
    pumps.append(phase("and the second hangs", front, context, port, options, options.seconds))
    slow.seconds = 0.2
    pumps.append(phase("and the third is slow", front, context, port, options, options.seconds))
    dovecots[1].resume()
    recovery("the second, woken,", front, context, port, second)
    dovecots[0].start()
    recovery("the first, restarted,", front, context, port, first)
    slow.seconds = 0.0
    pumps.append(phase("all are well again", front, context, port, options, options.seconds))
    for event in front.events():
        if event["event"] in ("backend_down", "backend_up"):
            print("  log: %s %s %s %s" % (event["time"], event["event"], event.get("backend"), event.get("reason", "")))
    return all(pump.results["accepted"] == sum(pump.results.values()) for pump in pumps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12, help="of each phase")
    parser.add_argument("--rate", type=float, default=100, help="logins a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(os.path.join(folder, "ca"))
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        dovecots = [stores.Dovecot().start() for _ in range(3)]
        slow = Delay(dovecots[2].imap_port)
        try:
            pool = Pool([dovecots[0].imap_port, dovecots[1].imap_port, slow.port])
            configuration = Configuration(certificate, [pool], listeners=LISTENERS,
                                          monitor="",
                                          limits="drain_timeout = 2; max_sessions_per_address = 0;")
            with Postern(tempfile.mkdtemp(dir=folder), configuration) as front:
                fine = soak(front, context, dovecots, slow, options)
        finally:
            dovecots[1].resume()
            for one in dovecots:
                one.stop()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
