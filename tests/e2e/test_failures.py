"""What dies, hangs or is slow: the right reply, nobody else harmed, and service again afterwards."""
import os
import signal
import socket
import threading

import pytest

from conftest import PROTOCOLS
from support import clients, liars
from support.ports import free_port
from support.postern import Backend
from support.wait import wait_for

USERS = {b"alice": b"right"}
FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20}


@pytest.fixture(scope="module")
def fakes():
    with liars.Fake(liars.ImapStore(USERS)) as imap, liars.Fake(liars.Pop3Store(USERS)) as pop3, \
            liars.Fake(liars.SubmissionStore(USERS)) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture(scope="module")
def front(launch, fakes):
    return launch(limits=FAST, **{name: fake.port for name, fake in fakes.items()})


def reach(front, protocol, context):
    return clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context)


def enter(front, protocol, context):
    return clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, "alice", "right")


def alive(wire, protocol):
    """Whether a relayed session still carries commands."""
    answer = wire.reply(protocol, {"imap": "q NOOP"}.get(protocol, "NOOP"))
    return answer.startswith({"submission": "250", "imap": "q OK", "pop3": "+OK"}[protocol])


def log_in_again(front, context, protocol="imap"):
    """Until a login succeeds: what died is back."""
    def attempt():
        try:
            with reach(front, protocol, context) as wire:
                return clients.log_in(wire, protocol, "alice", "right").startswith(clients.ACCEPTED[protocol])
        except (OSError, AssertionError):
            return False
    wait_for(attempt, "a login to succeed again")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_auth_process_killed_in_mid_exchange_gives_a_temporary_reply(front, context, protocol):
    with enter(front, protocol, context) as other, reach(front, protocol, context) as wire:
        line = {"submission": "AUTH LOGIN", "imap": "l AUTHENTICATE LOGIN", "pop3": "AUTH LOGIN"}[protocol]
        assert wire.reply(protocol, line).startswith(("334", "+"))
        before = set(front.children("auth"))
        assert len(before) == 2, before
        died = len(front.events("child_died"))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        front.wait_event("child_died", count=died + 2)
        wire.try_send(clients.encoded("alice") + "\r\n")
        answer = {"submission": wire.smtp, "imap": lambda: wire.imap(tag="l"), "pop3": wire.pop3}[protocol]()
        assert answer.startswith(clients.TEMPORARY[protocol]), answer
        assert alive(other, protocol), "a session that was relayed has suffered"
        wait_for(lambda: len(set(front.children("auth")) - before) == 2, "two new auth processes")
        wait_for(lambda: clients.log_in(wire, protocol, "alice", "right").startswith(clients.ACCEPTED[protocol]),
                 "the same session to log in after all")


def test_one_killed_worker_takes_only_its_own_sessions(front, context):
    wires = [enter(front, "imap", context) for _ in range(16)]
    before = front.children("worker")
    assert len(before) == 2
    died = len(front.events("child_died"))
    os.kill(before[0], signal.SIGKILL)
    front.wait_event("child_died", count=died + 1)
    kept = 0
    for wire in wires:
        try:
            kept += alive(wire, "imap")
        except (OSError, AssertionError):
            pass
        wire.close()
    assert 0 < kept < len(wires), "%d of %d sessions live on; both workers should have had some" % (kept, len(wires))
    wait_for(lambda: len(front.children("worker")) == 2 and before[0] not in front.children("worker"), "a new worker")
    for _ in range(8):
        log_in_again(front, context)


def test_random_bytes_of_workers_and_of_a_successor_differ(front, context):
    """Seen from outside: the random of ServerHello, over both workers, before and after one is replaced."""
    def randoms(count):
        found = set()
        for _ in range(count):
            with clients.Wire(front.port("imap", "implicit")) as wire:
                wire.send(HELLO_12)
                while len(wire.data) < 5 + 4 + 2 + 32:
                    assert wire.fill(), "no ServerHello: %r" % wire.data
                assert wire.data[0] == 22 and wire.data[5] == 2, wire.data[:20]
                found.add(bytes(wire.data[11:43]))
        return found

    before = randoms(24)
    victim = front.children("worker")[0]
    died = len(front.events("child_died"))
    os.kill(victim, signal.SIGKILL)
    front.wait_event("child_died", count=died + 1)
    wait_for(lambda: len([pid for pid in front.children("worker") if pid != victim]) == 2, "a new worker")
    log_in_again(front, context)
    after = randoms(24)
    assert len(before | after) == 48


def hello_12():
    """A TLS 1.2 ClientHello by hand: ECDHE_ECDSA_AES128_GCM_SHA256, P-256."""
    extensions = (b"\x00\x0a\x00\x04\x00\x02\x00\x17" b"\x00\x0b\x00\x02\x01\x00" b"\x00\x0d\x00\x04\x00\x02\x04\x03"
                  b"\xff\x01\x00\x01\x00" b"\x00\x17\x00\x00")
    body = (b"\x03\x03" + b"R" * 32 + b"\x00" + b"\x00\x02\xc0\x2b" + b"\x01\x00"
            + len(extensions).to_bytes(2, "big") + extensions)
    shake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(shake).to_bytes(2, "big") + shake


HELLO_12 = hello_12()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dead_backend_gives_a_temporary_reply_and_service_resumes(launch_once, context, protocol):
    port = free_port()
    front = launch_once(limits=FAST, workers=1, **{protocol: port})    # each worker sees for itself
    with reach(front, protocol, context) as wire:
        assert clients.log_in(wire, protocol, "alice", "right").startswith(clients.TEMPORARY[protocol])
        assert alive(wire, protocol), "the session did not go back to the dialogue"
    assert front.wait_event("backend_down")
    store = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol]
    with liars.Fake(store(USERS), port=port):
        log_in_again(front, context, protocol)
        assert front.wait_event("backend_up")


def test_a_second_server_of_the_pool_takes_over(launch_once, context, fakes):
    backend = Backend("imap", free_port())
    text = backend.text().replace("servers = ( ", 'servers = ( { host = "127.0.0.1"; port = %d; }, ' % free_port())
    text = text.replace("port = %d; } );" % backend.port, "port = %d; } );" % fakes["imap"].port)
    backend.text = lambda: text
    front = launch_once(limits=FAST, imap=backend)
    for _ in range(3):
        with enter(front, "imap", context) as wire:
            assert alive(wire, "imap")


def silent(talk):
    talk.rest()


@pytest.fixture(scope="module")
def hasty(launch):
    """One second of patience with backends; each test sets the scripts."""
    with liars.Fake(silent) as imap, liars.Fake(silent) as pop3, liars.Fake(silent) as submission:
        fakes = {"imap": imap, "pop3": pop3, "submission": submission}
        yield launch(limits=dict(FAST, backend_timeout=1), **{name: fake.port for name, fake in fakes.items()}), fakes


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_silent_backend_gives_a_temporary_reply_after_backend_timeout(hasty, context, protocol):
    front, fakes = hasty
    fakes[protocol].forget()
    fakes[protocol].script = silent
    with reach(front, protocol, context) as wire:
        assert clients.log_in(wire, protocol, "alice", "right").startswith(clients.TEMPORARY[protocol])
    fakes[protocol].wait_ended()


def drip(text):
    """A greeting that never ends: an octet whenever the other side has been quiet for a moment."""
    def script(talk):
        talk.socket.settimeout(0.2)
        for octet in text * 1000:
            talk.send(octet)
            try:
                if not talk.socket.recv(1):
                    return
            except TimeoutError:
                pass
            except OSError:
                return
    return script


@pytest.mark.parametrize("protocol, text", [("imap", "* OK x "), ("pop3", "+OK x "), ("submission", "220-x\r\n")])
def test_a_backend_that_drips_is_cut_at_the_same_deadline(hasty, context, protocol, text):
    front, fakes = hasty
    fakes[protocol].forget()
    fakes[protocol].script = drip(text)
    with reach(front, protocol, context) as wire:
        assert clients.log_in(wire, protocol, "alice", "right").startswith(clients.TEMPORARY[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_slow_backend_within_the_deadline_is_fine(front, fakes, context, protocol):
    """Every octet of the store arrives in a segment of its own."""
    honest = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol](USERS)

    def script(talk):
        whole = talk.send
        talk.send = lambda text: [whole(text[i:i + 1]) for i in range(len(text))]
        honest(talk)

    before, fakes[protocol].script = fakes[protocol].script, script
    try:
        with enter(front, protocol, context) as wire:
            assert alive(wire, protocol)
    finally:
        fakes[protocol].script = before


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_backend_that_closes_in_mid_session_ends_the_session_in_order(front, fakes, context, protocol):
    fakes[protocol].forget()
    with enter(front, protocol, context) as wire:
        client = wire.address
        fakes[protocol].conversations[-1].close()
        text = wire.rest()
        assert wire.ending == "close_notify"
        assert text.startswith({"submission": "421 4.3.2"}.get(protocol, "")), text
    assert front.wait_event("session_end", client=client)["reason"]


def test_a_backend_reset_ends_one_session_and_no_worker(front, fakes, context):
    class Resetting(liars.ImapStore):
        def relay(self, talk):
            talk.line()
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            talk.socket.close()
            raise liars.Gone

    before, honest = front.children("worker"), fakes["imap"].script
    fakes["imap"].script = Resetting(USERS)
    try:
        for _ in range(4):
            with enter(front, "imap", context) as wire:
                wire.send("a X\r\n")
                assert wire.rest() == ""
    finally:
        fakes["imap"].script = honest
    assert front.children("worker") == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_that_vanishes_takes_the_backend_session_with_it(front, fakes, context, protocol):
    fakes[protocol].forget()
    enter(front, protocol, context).vanish()
    fakes[protocol].wait_ended()


def test_what_a_client_sends_before_its_close_notify_reaches_the_store(front, fakes, context):
    """The relay carries the end of the client's direction behind what came before it."""
    fakes["imap"].forget()
    with enter(front, "imap", context) as wire:
        wire.send("".join("t%d X\r\n" % number for number in range(2000)))
        try:
            wire.socket.unwrap()
        except OSError:
            pass    # answers stood before the peer's close_notify
        fakes["imap"].wait(lambda fake: fake.received().endswith(b"t1999 X\r\n"), "the last line at the backend")


def test_back_pressure_stops_a_client_that_does_not_read(launch_once, context):
    """The store sends without end; a client that reads nothing must not make the front-end swallow it all."""
    sent = []
    stop = threading.Event()

    class Endless(liars.ImapStore):
        def relay(self, talk):
            talk.socket.settimeout(0.5)
            block = b"* x" * 21845 + b"\r\n"
            try:
                while not stop.is_set() and len(sent) < 4000:
                    talk.socket.sendall(block)
                    sent.append(len(block))
            except TimeoutError:
                talk.note("stalled")

    with liars.Fake(Endless(USERS)) as fake:
        front = launch_once(limits=FAST, imap=fake.port, workers=1)
        with enter(front, "imap", context):
            fake.wait(lambda f: f.conversations[-1].notes.get("stalled"), "the store to be stopped")
            assert sum(sent) < 64 << 20
        stop.set()
