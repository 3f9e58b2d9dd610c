#!/usr/bin/python3
"""A real login while a crowd holds the doors: connections that never speak, and handshakes that stop half-way.

The crowd comes from many addresses of 127/8; each address holds a few connections, below the limit per address.
"""
import argparse
import pathlib
import resource
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, clients, liars, process  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 100


def crowd(count, ports, begun, first_address):
    """count connections, spread over the ports, 20 from each address."""
    held = []
    for number in range(count):
        address = first_address + number // 20
        source = "127.%d.%d.%d" % (10 + (address >> 16), address >> 8 & 255, address & 255 or 1)
        sock = socket.create_connection(("127.0.0.1", ports[number % len(ports)]), 20, (source, 0))
        if begun:
            sock.sendall(begun)
        held.append(sock)
    return held


def login(port, context):
    begin = time.perf_counter()
    with clients.enter(port, "imap", "implicit", context, "alice", "right"):
        return time.perf_counter() - begin


def show(name, times):
    print("%-34s median %7.2f ms   most %7.2f ms" % (name, statistics.median(times) * 1000, max(times) * 1000))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--silent", type=int, default=2000)
    parser.add_argument("--half", type=int, default=500)
    parser.add_argument("--logins", type=int, default=50)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        ca = certificates.make_ca(folder)
        certificate = certificates.make_certificate(folder, ca, ("localhost", "127.0.0.1"))
        context = clients.tls_context(ca.certificate)
        with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
            listeners = [Listener("imap", "implicit"), Listener("imap", "starttls")]
            limits = "drain_timeout = 1; handshake_timeout = 600; preauth_timeout = 600;"
            with Postern(tempfile.mkdtemp(dir=folder), Configuration(certificate, [Backend("imap", fake.port)],
                                                                     listeners=listeners, limits=limits)) as front:
                implicit, starttls = front.port("imap", "implicit"), front.port("imap", "starttls")
                login(implicit, context)
                show("login, nobody else there", [login(implicit, context) for _ in range(options.logins)])
                workers = sorted(front.children("worker"))
                before = [process.resident_memory(pid) for pid in workers]
                held = crowd(options.silent, (implicit, starttls), b"", 0)
                held += crowd(options.half, (implicit,), HALF_A_HELLO, 1000)
                print("%d silent connections and %d half-done handshakes held" % (options.silent, options.half))
                times = [login(implicit, context) for _ in range(options.logins)]
                show("login, in the crowd", times)
                print("under a second: %s" % ("yes" if max(times) < 1 else "NO"))
                for pid, size in zip(workers, before):
                    now = process.resident_memory(pid)
                    print("worker: %d KiB before, %d KiB with the crowd (%.1f KiB a connection)" %
                          (size >> 10, now >> 10, (now - size) / 1024 / max(1, len(held) / len(workers))))
                alive = sum(1 for sock in held if not closed(sock))
                print("still held: %d of %d; refused for a limit: %d" %
                      (alive, len(held), len(front.events("refused", reason="limit"))))
                for sock in held:
                    sock.close()


def closed(sock):
    sock.setblocking(False)
    try:
        while True:
            if sock.recv(4096) == b"":
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    main()
