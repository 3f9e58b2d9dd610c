"""Resumption of TLS sessions: over workers, over their deaths and the keeper's, over rotations, between machines; and where it ends."""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest

from conftest import USERS
from support import clients, liars, ports, postern
from support.postern import Backend, Configuration, Listener, Postern

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
IMPLICIT = Listener("imap", "implicit")
LOGIN = "LOGIN alice " + USERS["alice"]


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": USERS["alice"].encode()})) as fake:
        yield fake


@pytest.fixture
def start(tmp_path_factory, certificate, store):
    """start(tls="tickets: { ... };"): a Postern with two workers."""
    made = []

    def make(listeners=(IMPLICIT,), **settings):
        front = Postern(str(tmp_path_factory.mktemp("postern")),
                        Configuration(certificate, [Backend("imap", store.port)], listeners=list(listeners),
                                      limits="drain_timeout = 1;", **settings))
        made.append(front)
        return keyed(front.start())
    yield make
    for front in made:
        front.stop()


@pytest.fixture(scope="module")
def front(launch, store):
    return keyed(launch(imap=store.port))


@pytest.fixture(scope="module")
def before_dovecot(launch, dovecot):
    """For clients that wait until the store closes."""
    return keyed(launch(imap=dovecot.imap_port))


def keyed(front, after=0):
    """Once each worker seals with a key (and it is not that of the events before)."""
    workers = int(front.wait_event("ready")["workers"])
    if "enabled = false" not in open(front.path, encoding="utf-8").read():
        front.wait_event("ticket_key", count=after + workers)
    return front


# ---- a client whose sessions are in our hands

@pytest.fixture(params=VERSIONS)
def client(request, authority):
    return clients.tls_context(authority.certificate, VERSIONS[request.param])


@pytest.fixture
def both(authority):
    """One of each version."""
    return [clients.tls_context(authority.certificate, version) for version in VERSIONS.values()]


class Visit:
    """A whole session with a login, and what it said."""

    def __init__(self, front, client, session=None, name="localhost"):
        with clients.Wire(front.port("imap", "implicit")) as wire:
            self.address = wire.address
            wire.socket = client.wrap_socket(wire.socket, server_hostname=name, session=session)
            assert wire.line().startswith("* OK")
            assert re.match("a (NO|BAD)", wire.imap("a SELECT INBOX")), "no login was needed"
            assert wire.imap("b " + LOGIN).startswith("b OK")
            wire.imap("c LOGOUT")
            self.resumed, self.session = wire.socket.session_reused, wire.socket.session
        self.event = front.wait_event("session_end", client=self.address)
        assert self.event["resumed"] == ("yes" if self.resumed else "no")


def worker_of(event):
    return int(event["session"], 16) >> 48


def assert_resumes_at_both_workers(front, client, session, tries=80):
    """And the ticket may be used again and again (RFC 8446 2.2 allows it; there is no early data)."""
    served = set()
    for _ in range(tries):
        visit = Visit(front, client, session)
        assert visit.resumed
        served.add(worker_of(visit.event))
        if len(served) == 2:
            return
    raise AssertionError("only one worker has served: %s" % served)


def test_a_session_is_resumed_by_either_worker_and_has_to_log_in(front, client):
    first = Visit(front, client)
    assert not first.resumed
    assert_resumes_at_both_workers(front, client, first.session)


def test_a_ticket_outlives_the_workers(front, client):
    session = Visit(front, client).session
    started = len(front.events("child_started", kind="worker"))
    keys = len(front.events("ticket_key"))
    for pid in front.children("worker"):
        os.kill(pid, signal.SIGKILL)
    front.wait_event("child_started", count=started + 2, kind="worker")
    keyed(front, keys)
    assert_resumes_at_both_workers(front, client, session)


def test_a_ticket_outlives_the_keeper(front, client):
    session = Visit(front, client).session
    keys = len(front.events("ticket_key"))
    os.kill(front.children("keeper")[0], signal.SIGKILL)
    keyed(front, keys)
    assert_resumes_at_both_workers(front, client, session)
    assert front.events("ticket_key")[-1]["keys"] == "3"


def test_another_name_gives_a_full_handshake(front, client):
    client.check_hostname = False
    session = Visit(front, client).session
    assert not Visit(front, client, session, name="other.example.test").resumed
    other = Visit(front, client, name="other.example.test").session
    assert Visit(front, client, other, name="other.example.test").resumed
    assert not Visit(front, client, other).resumed


def test_another_profile_gives_a_full_handshake(start, client):
    listeners = (IMPLICIT, Listener("imap", "starttls", extra='profile = "nist";'))
    front = start(listeners)
    session = Visit(front, client).session
    assert Visit(front, client, session).resumed
    with clients.Wire(front.port("imap", "starttls")) as wire:
        wire.line()
        assert wire.imap("a STARTTLS").startswith("a OK")
        wire.socket = client.wrap_socket(wire.socket, server_hostname="localhost", session=session)
        assert wire.imap("b " + LOGIN, "b").startswith("b OK")
        assert not wire.socket.session_reused


def test_a_ticket_of_another_product_does_no_harm(front, certificate, client):
    """Its length ends the handshake inside the library; here it is the ticket of OpenSSL."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.chain, certificate.key)
    theirs, ours = socket.socketpair()
    foreign = None
    pid = os.fork()
    if pid == 0:
        with server.wrap_socket(theirs, server_side=True) as wire:
            wire.write(b"x")
            wire.read(1)
        os._exit(0)
    with client.wrap_socket(ours, server_hostname="localhost") as wire:
        wire.read(1)
        foreign = wire.session
        wire.write(b"x")
    os.waitpid(pid, 0)
    assert foreign.has_ticket
    assert not Visit(front, client, foreign).resumed


# ---- rotation

def test_a_ticket_outlives_one_rotation(start, both):
    front = start(tls="tickets: { rotate = 3; };")
    turns, sessions = 1, []
    while turns % 2 or len(front.events("ticket_key")) > turns:    # while neither worker has turned beyond the other
        turns = len(front.events("ticket_key"))
        sessions = [Visit(front, client).session for client in both]
    keyed(front, turns)
    for client, session in zip(both, sessions):
        assert Visit(front, client, session).resumed


def key_line(number):
    return base64.b64encode(bytes([number]) * 16 + os.urandom(32)).decode() + "\n"


def put(path, text):
    """In one step, as whoever distributes keys should do it."""
    with open(path + ".new", "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    os.replace(path + ".new", path)


def name_of(number):
    return ("%02x" % number) * 4


def test_two_rotations_later_there_is_a_full_handshake(start, both, tmp_path):
    """Of a file, since it turns when we say so."""
    path = str(tmp_path / "tickets")
    keys = [key_line(number) for number in (1, 2, 3)]
    status = ports.free_port()
    put(path, keys[0])
    front = start(tls='tickets: { file = "%s"; };' % path, top='status: { address = "127.0.0.1"; port = %d; };' % status)
    front.wait_event("ticket_key", count=2, key=name_of(1), source="file")
    sessions = [Visit(front, client).session for client in both]
    put(path, keys[1] + keys[0])
    front.wait_event("ticket_key", count=2, key=name_of(2), keys=2)
    for client, session in zip(both, sessions):
        assert_resumes_at_both_workers(front, client, session)
    put(path, keys[2] + keys[1])
    front.wait_event("ticket_key", count=2, key=name_of(3), keys=2)
    for client, session in zip(both, sessions):
        assert not Visit(front, client, session).resumed
    metrics = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % status, timeout=20).read().decode()
    assert 'postern_tickets_total{result="unknown_key"} 2\n' in metrics
    assert not re.search(r'postern_tickets_total\{result="(issued|resumed)"\} 0\n', metrics)


# ---- a file for several machines

def test_two_machines_with_one_file_resume_each_others_sessions(start, client, tmp_path):
    path = str(tmp_path / "tickets")
    put(path, key_line(7))
    tls = 'tickets: { file = "%s"; };' % path
    one, other, third = start(tls=tls), start(tls=tls), start()
    session = Visit(one, client).session
    assert Visit(other, client, session).resumed
    assert not Visit(third, client, session).resumed


def test_a_bad_file_is_refused_and_the_keys_before_it_stay(start, client, tmp_path):
    path = str(tmp_path / "tickets")
    good = key_line(9)
    put(path, good)
    front = start(tls='tickets: { file = "%s"; };' % path)
    session = Visit(front, client).session
    put(path, good + good)
    refused = front.wait_event("ticket_file_refused")
    assert (refused["path"], refused["line"]) == (path, "2")
    assert Visit(front, client, session).resumed
    front.signal(signal.SIGHUP)
    assert "stands above" in front.wait_event("reload", level="error")["error"]
    put(path, good)
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    assert Visit(front, client, session).resumed


@pytest.mark.parametrize("text, fault", [(None, "cannot be opened"), ("", "no key"), ("short\n", "64 characters")])
def test_a_configuration_with_a_bad_file_is_refused(tmp_path, certificate, text, fault):
    path = str(tmp_path / "tickets")
    if text is not None:
        put(path, text)
    front = Postern(str(tmp_path), Configuration(certificate, [Backend("imap", 1)], listeners=[IMPLICIT],
                                                 tls='tickets: { file = "%s"; };' % path))
    status, printed = postern.check(front.path)
    assert status == 78 and path in printed and fault in printed, printed


# ---- off, and by reload

def test_tickets_are_switched_off_and_on_by_reload(start, client):
    front = start()
    session = Visit(front, client).session
    assert Visit(front, client, session).resumed
    text = open(front.path, encoding="utf-8").read()
    front.configure(text.replace("tls: {", "tls: { tickets: { enabled = false; };"))
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    visit = Visit(front, client, session)
    assert not visit.resumed
    assert not (visit.session and visit.session.has_ticket)
    keys = len(front.events("ticket_key"))
    front.configure(text)
    front.signal(signal.SIGHUP)
    front.wait_event("reload", count=2, result="done")
    keyed(front, keys)
    assert not Visit(front, client, session).resumed, "the keys were not wiped"
    assert Visit(front, client, Visit(front, client).session).resumed


# ---- the clients of others

SCRIPT = "a " + LOGIN + "\r\nb LOGOUT\r\n"


@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_with_openssl(before_dovecot, authority, tmp_path, version):
    front = before_dovecot

    def run(*options):
        done = subprocess.run(["openssl", "s_client", "-connect", "localhost:%d" % front.port("imap", "implicit"), version, "-CAfile",
                               authority.certificate, "-servername", "localhost", "-verify_return_error", "-ign_eof", *options],
                              input=SCRIPT, capture_output=True, text=True, timeout=60, check=False)
        assert "a OK" in done.stdout, done.stdout + done.stderr
        return done.stdout

    held = str(tmp_path / "session")
    begun = len(front.events("session_end"))
    assert "\nNew, " in run("-sess_out", held)
    front.wait_event("session_end", count=begun + 1)
    served = set()
    for _ in range(40):
        begun = len(front.events("session_end"))
        assert "\nReused, " in run("-sess_in", held)
        event = front.wait_event("session_end", count=begun + 1)
        assert event["resumed"] == "yes"
        served.add(worker_of(event))
        if len(served) == 2:
            break
    assert len(served) == 2


@pytest.mark.parametrize("version", ("1.2", "1.3"))
def test_with_gnutls(before_dovecot, authority, version):
    front = before_dovecot
    before = len(front.events("session_end"))
    done = subprocess.run(["gnutls-cli", "--resume", "--waitresumption", "-p", str(front.port("imap", "implicit")), "--x509cafile",
                           authority.certificate, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + version, "localhost"],
                          input=SCRIPT, capture_output=True, text=True, timeout=60, check=False)
    assert "*** This is a resumed session" in done.stdout, done.stdout + done.stderr
    assert "a OK" in done.stdout, done.stdout
    events = front.events("session_end")[before:] if front.wait_event("session_end", count=before + 2) else []
    assert sorted(event["resumed"] for event in events) == ["no", "yes"]


