"""The keeper: it alone has private keys, it signs for TLS and for nothing else, and what happens without it."""
import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import pytest

import test_status as status
from support import certificates, clients, liars, ports
from support.postern import Listener
from support.wait import wait_for

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into them: the processes are not dumpable")
UNWRAPPED = pytest.mark.skipif("POSTERN_WRAPPER" in os.environ, reason="the wrapper has memory and descriptors of its own")
KINDS = ("worker", "auth", "keeper", "monitor")
DONE, REFUSED, UNKNOWN = range(3)
ECDSA, RSA, ED25519 = range(3)


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore(None)) as fake:
        yield fake


@pytest.fixture
def front(launch_once, store, authority, tmp_path):
    """front(kind): a Postern whose one certificate has such a key, and files of its own."""
    def make(kind, workers=1):
        pair = certificates.make_certificate(str(tmp_path / "pair"), authority, ("localhost", "127.0.0.1"), key=kind)
        port = ports.free_port()
        one = launch_once(imap=store.port, certificate=pair, workers=workers, listeners=[Listener("imap", "implicit")],
                          top="status: { port = %d; };" % port)
        one.pair, one.status_port = pair, port
        return one
    return make


def shake(one, context):
    """Whether a handshake goes well."""
    try:
        clients.Wire(one.port("imap", "implicit"), tls=context).close()
    except (ssl.SSLError, ConnectionError):
        return False
    return True


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_handshake_with_each_version(front, kind, context, old_context):
    one = front(kind)
    assert shake(one, context) and shake(one, old_context)


def test_an_ed25519_key_serves_tls_1_3_alone(front, context, old_context):
    one = front("ed25519")
    assert shake(one, context)
    assert not shake(one, old_context)
    assert shake(one, context)


# ---- who has the key


def secrets_of(path):
    """What nobody but the keeper may have, as the two libraries lay numbers out in memory: {what: octets}."""
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    found = {}
    for name in ("prime1", "prime2", "priv"):
        match = re.search(r"^%s:\n((?: +[0-9a-f:]+\n)+)" % name, text, re.MULTILINE)
        if match:
            number = bytes.fromhex(re.sub(r"[\s:]", "", match[1])).lstrip(b"\0")
            found[name + ", most significant first"] = number
            found[name + ", least significant first"] = number[::-1]
    pem = pathlib.Path(path).read_text(encoding="ascii").split("-----")[2]
    return {**found, "the text of its file": pem.strip().split("\n")[0].encode()}


def memory(pid):
    """All that a process has in memory, mapping by mapping."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            ends, rights, *_ = line.split()
            begin, end = (int(end, 16) for end in ends.split("-"))
            if rights[0] != "r" or "[v" in line or end - begin > 1 << 40:    # a sanitizer's shadow
                continue
            mem.seek(begin)
            try:
                yield mem.read(end - begin)
            except OSError:    # of a file that has become shorter
                continue


def holds(pid, needles):
    return {name for piece in memory(pid) for name, octets in needles.items() if octets in piece}


@AS_ROOT
@UNWRAPPED
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_keeper_alone_has_the_private_key(front, kind, context, old_context):
    one = front(kind, workers=2)
    for _ in range(6):
        assert shake(one, context) and shake(one, old_context)
    one.signal(signal.SIGHUP)
    one.wait_event("reload")
    assert shake(one, context)
    needles = secrets_of(one.pair.key)
    assert any(holds(pid, needles) for pid in one.children("keeper")), "the search finds nothing where there is something"
    for pid in [one.pid, *(pid for kind in KINDS if kind != "keeper" for pid in one.children(kind))]:
        assert not holds(pid, needles), pid


# ---- what a worker that has been taken over may ask


def pidfd_getfd(pid, number):
    """A copy of another process' descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        return libc.syscall(438, pidfd, number, 0)
    finally:
        os.close(pidfd)


def way_to_the_keeper(pid):
    """The worker's end of its channel: the one of its sockets that carries packets."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        copy = socket.socket(fileno=pidfd_getfd(pid, int(name)))
        if copy.family == socket.AF_UNIX and copy.type == socket.SOCK_SEQPACKET:
            copy.settimeout(20)
            return copy
        copy.close()
    raise AssertionError("no such socket")


def key_id(chain):
    public = subprocess.run(["openssl", "x509", "-in", chain, "-noout", "-pubkey"], capture_output=True, check=True).stdout
    return hashlib.sha256(subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, capture_output=True,
                                         check=True).stdout).digest()


def asked(way, identity, algorithm, block):
    """(status, output) of the keeper's answer."""
    way.send(struct.pack("=BBI32sB", 1, 1, 7000, identity, algorithm) + block)
    packet = way.recv(4096)
    version, status, sequence = struct.unpack("=BBI", packet[:6])
    assert (version, sequence) == (1, 7000)
    return status, packet[6:]


@AS_ROOT
@UNWRAPPED
def test_a_taken_worker_gets_signatures_for_tls_and_nothing_else(front, context):
    one = front("rsa")
    assert shake(one, context)
    identity = key_id(one.pair.chain)
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"").digest()
    good = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
    with way_to_the_keeper(one.children("worker")[0]) as way:
        assert asked(way, hashlib.sha256(b"another").digest(), RSA, good) == (UNKNOWN, b"")
        for block in (b"\0\2" + good[2:], good[1:], good + b"\0", bytes(256), b"\x42" * 256, b"",
                      good[:-51] + bytes.fromhex("3021300906052b0e03021a05000414") + good[-36:]):
            assert asked(way, identity, RSA, block) == (REFUSED, b""), block.hex()
        assert asked(way, identity, ECDSA, bytes(32)) == (REFUSED, b"")
        assert asked(way, identity, ED25519, bytes(130)) == (REFUSED, b"")
        verdict, signature = asked(way, identity, RSA, good)
        assert (verdict, len(signature)) == (DONE, 256)
        assert int(one.wait_event("signature_refused", worker=0)["count"]) > 0
        way.send(b"no request")
        assert way.recv(4096) == b""


# ---- without it


@UNWRAPPED
def test_live_sessions_do_not_notice_that_the_keeper_is_replaced(front, context):
    one = front("ec")
    first = one.children("keeper")[0]
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        os.kill(first, signal.SIGKILL)
        one.wait_event("child_died", kind="keeper", pid=first)
        wait_for(lambda: shake(one, context), "a handshake again")
        assert one.children("keeper") != [first]
        assert wire.imap("a NOOP").startswith("a OK")


def stands_still(pid):
    """Whether a stopped process has stopped: each of its threads does for itself."""
    return all((task / "stat").read_text(encoding="ascii").rpartition(") ")[2][0] == "T"
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


@UNWRAPPED
def test_a_keeper_that_hangs_fails_handshakes_in_time_and_is_replaced(front, context):
    one = front("ec")
    assert shake(one, context)
    hung = one.children("keeper")[0]
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: stands_still(hung), "a keeper that hangs")
        assert not shake(one, context)
        assert wire.imap("a NOOP").startswith("a OK")
        wait_for(lambda: shake(one, context), "a handshake again")
        one.wait_event("child_stuck", kind="keeper", pid=hung)
        counted = status.metrics(one.status_port)
        assert counted['postern_signatures_total{result="late"}'] >= 1    # what is late may also be the ticket keys
        assert counted['postern_signatures_total{result="made"}'] >= 3


@UNWRAPPED
def test_a_key_whose_file_is_gone_is_missing_until_it_is_back(front, context):
    one = front("ec")
    aside = one.pair.key + ".aside"
    first = one.children("keeper")[0]
    shutil.move(one.pair.key, aside)
    os.kill(first, signal.SIGKILL)
    one.wait_event("key_missing", chain=one.pair.chain)
    assert not shake(one, context)
    shutil.move(aside, one.pair.key)
    wait_for(lambda: shake(one, context), "a handshake again")


def waits_of(pid):
    """How often its loop has had nothing to do; no number when it has gone."""
    try:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"),
                             re.MULTILINE)[1])
    except (FileNotFoundError, ProcessLookupError, TypeError):
        return float("inf")


def books_of(pid):
    """How many books it has before it: that in force, and that of a reload."""
    return pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").count("memfd:postern-book")


@AS_ROOT
@UNWRAPPED
def test_a_keeper_that_asks_for_what_has_been_taken_back_lives(launch_once, store, authority, tmp_path, context):
    """The end comes while a reload is on its way: the keeper asks for keys that nobody wants any more."""
    pair, folder = certificates.make_certificate(str(tmp_path / "pair"), authority, ("localhost", "127.0.0.1")), tmp_path / "more"
    folder.mkdir()
    more = {name: certificates.make_certificate(str(tmp_path / name), authority, (name + ".test",)) for name in ("a", "b", "c")}
    one = launch_once(imap=store.port, certificate=pair, workers=1, listeners=[Listener("imap", "implicit")],
                      tls='certificates_dir = "%s";' % folder, limits={"drain_timeout": 60})
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "any") as wire:
        keeper = one.children("keeper")[0]
        os.kill(keeper, signal.SIGSTOP)
        wait_for(lambda: stands_still(keeper), "a keeper that waits")
        for name, made in more.items():    # soon: who waits for 5 s is replaced
            shutil.copy(made.chain, folder / (name + ".crt"))
            shutil.copy(made.key, folder / (name + ".key"))
        one.signal(signal.SIGHUP)
        wait_for(lambda: books_of(one.children("worker")[0]) == 2, "the book of the new configuration")
        one.signal(signal.SIGTERM)
        one.wait_event("stopping")
        before = waits_of(keeper)
        os.kill(keeper, signal.SIGCONT)
        wait_for(lambda: waits_of(keeper) > before, "what it says to that")
    wait_for(lambda: one.status is not None, "the end that was asked for")
    one.stop()
    assert not one.events("child_died", kind="keeper")
