"""SIGTERM with sessions of every kind: who is told what, and that no message is ever completed by us."""
import signal

import pytest

from conftest import MODES, PROTOCOLS
from support import clients, liars
from support.wait import wait_for

GOODBYE = {"submission": "421 4.3.2", "imap": "* BYE", "pop3": "-ERR"}


@pytest.fixture
def fakes():
    store = liars.SubmissionStore(None)
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.Pop3Store(None)) as pop3, liars.Fake(store) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


def start(launch_once, fakes, seconds):
    return launch_once(limits={"drain_timeout": seconds}, **{name: fake.port for name, fake in fakes.items()})


def drain(front):
    """SIGTERM, then waits until the listeners are closed."""
    front.signal(signal.SIGTERM)

    def refused():
        try:
            clients.Wire(front.port("imap", "starttls")).close()
        except OSError:
            return True
        return False
    wait_for(refused, "the listeners to close")


def enter(front, protocol, context):
    return clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, "alice", "x")


def test_sessions_before_login_are_told_and_ended(launch_once, fakes, context):
    front = start(launch_once, fakes, 15)
    wires = []
    for protocol in PROTOCOLS:
        plain = clients.Wire(front.port(protocol, "starttls"))
        plain.line()
        wires.append((protocol, plain, "eof"))
        for mode in MODES:
            wires.append((protocol, clients.reach(front.port(protocol, mode), protocol, mode, context), "close_notify"))
    silent = clients.Wire(front.port("imap", "implicit"))
    drain(front)
    for protocol, wire, ending in wires:
        text = wire.rest()
        assert text.startswith(GOODBYE[protocol]), text
        assert wire.ending == ending
        wire.close()
    assert silent.rest() == ""
    wait_for(lambda: front.status is not None, "the end, long before drain_timeout: nobody is left")
    assert front.status == 0


def test_relays_go_on_until_drain_timeout_and_end_with_close_notify(launch_once, fakes, context):
    front = start(launch_once, fakes, 3)
    wires = [enter(front, protocol, context) for protocol in ("imap", "pop3")]
    drain(front)
    assert wires[0].imap("a X") == "a OK did a X"
    assert wires[1].pop3("X") == "+OK did X"
    for wire in wires:
        assert wire.rest() == ""
        assert wire.ending == "close_notify"
        wire.close()
    wait_for(lambda: front.status is not None, "the end")
    assert front.status == 0


def test_a_submission_at_a_command_boundary_ends_at_once(launch_once, fakes, context):
    front = start(launch_once, fakes, 15)
    with enter(front, "submission", context) as wire:
        assert wire.smtp("MAIL FROM:<a@example.test>").startswith("250")
        drain(front)
        assert wire.smtp().startswith("421 4.3.2")
        assert wire.rest() == "" and wire.ending == "close_notify"
    wait_for(lambda: front.status is not None, "the end, long before drain_timeout")


def begin_message(wire):
    for line, code in (("MAIL FROM:<a@example.test>", "250"), ("RCPT TO:<b@example.test>", "250"), ("DATA", "354")):
        assert wire.smtp(line).startswith(code)
    wire.send("first half\r\n")


def test_a_message_in_flight_may_be_finished_by_its_client(launch_once, fakes, context):
    front = start(launch_once, fakes, 15)
    with enter(front, "submission", context) as wire:
        begin_message(wire)
        fakes["submission"].wait(lambda fake: b"first half" in fake.received())
        drain(front)
        wire.send("second half\r\n.\r\n")
        assert wire.smtp().startswith("250 2.0.0 taken")
        assert wire.smtp().startswith("421 4.3.2")
        assert wire.rest() == "" and wire.ending == "close_notify"
    assert fakes["submission"].script.messages == [b"first half\r\nsecond half\r\n"]


def test_a_message_in_flight_at_the_deadline_is_cut_and_never_completed(launch_once, fakes, context):
    front = start(launch_once, fakes, 1)
    with enter(front, "submission", context) as wire:
        begin_message(wire)
        fakes["submission"].wait(lambda fake: b"first half" in fake.received())
        drain(front)
        wire.rest()
    fakes["submission"].wait_ended()
    assert fakes["submission"].script.messages == []
    assert fakes["submission"].script.cut == [b"first half\r\n"]


def test_a_login_under_way_is_not_left_hanging(launch_once, fakes, context):
    """The backend is silent when the drain begins: the client hears something, and the end comes."""
    fakes["imap"].script = lambda talk: talk.rest()
    front = start(launch_once, fakes, 1)
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context) as wire:
        wire.send("a LOGIN alice x\r\n")
        fakes["imap"].wait(lambda fake: fake.conversations)
        drain(front)
        wire.rest()
        assert wire.ending == "close_notify"
    wait_for(lambda: front.status is not None, "the end")
    assert front.status == 0
