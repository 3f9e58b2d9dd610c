#!/usr/bin/python3
"""Full handshakes per second of processor time, with the private key in three places (see --help for numbers).

`wolfcrypt`: in the TLS library, as without a keeper and without libcrypto; `libcrypto`: in the same process; `keeper`: in a
process of its own, whose time is counted too. The three take turns, and what is compared are neighbours of one round."""
import argparse
import os
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates  # noqa: E402

WAYS = ("wolfcrypt", "libcrypto", "keeper")


def client_context(ca, version):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    return context


def rate(program, way, pair, context, count):
    """Handshakes per second of processor time."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        server = subprocess.Popen([program, way, pair.chain, pair.key, str(count), str(listening.fileno())],
                                  pass_fds=[listening.fileno()], stdout=subprocess.PIPE, text=True)
        address = listening.getsockname()
        for _ in range(count + 1):
            with socket.create_connection(address) as wire:
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with context.wrap_socket(wire, server_hostname="localhost") as secure:
                    secure.recv(1)    # close_notify
        seconds = float(server.communicate(timeout=60)[0])
        assert server.returncode == 0
    return count / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="handshakes of a run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each (default %(default)s)")
    options = parser.parse_args()
    program = os.path.join(os.path.dirname(os.environ.get("POSTERN") or "build/postern"), "bench", "handshakes")
    with tempfile.TemporaryDirectory() as folder:
        authority = certificates.make_ca(folder)
        for kind in ("ec", "rsa"):
            pair = certificates.make_certificate(folder, authority, "localhost", key=kind)
            for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
                context = client_context(authority.certificate, version)
                rates = {way: [] for way in WAYS}
                for _ in range(options.rounds):
                    for way in WAYS:
                        rates[way].append(rate(program, way, pair, context, options.count))
                told = ", ".join("%s %.0f/s" % (way, statistics.median(rates[way])) for way in WAYS)
                ratios = [", ".join("keeper/%s %.2f" % (other, statistics.median(a / b for a, b in zip(rates["keeper"], rates[other])))
                                    for other in WAYS[:2])]
                print("%-4s %s: %s; in pairs: %s" % (kind, version.name, told, *ratios), flush=True)


if __name__ == "__main__":
    main()
