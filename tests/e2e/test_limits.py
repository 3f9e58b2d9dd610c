"""Bounds: sessions, times, lines, literals, refused commands; and what a client hears when it meets one."""
import os
import signal
import time

import pytest

from conftest import MODES, PROTOCOLS, USERS
from support import clients
from support.wait import at_once, wait_for

BUSY = {"submission": "421 4.7.0", "imap": "* BYE", "pop3": "-ERR [SYS/TEMP]"}
LATE = {"submission": "421 4.4.2", "imap": "* BYE", "pop3": "-ERR [SYS/TEMP]"}
GREETING = {"submission": "220", "imap": "* OK", "pop3": "+OK"}
NOOP = {"submission": "NOOP", "imap": "n NOOP", "pop3": "NOOP"}


@pytest.fixture(scope="module")
def front(launch, fakes):
    """Limits as they come."""
    return launch(**fakes)


@pytest.fixture(scope="module")
def hasty(launch, fakes):
    return launch(limits={"handshake_timeout": 1, "preauth_timeout": 2}, **fakes)


def plain(front, protocol, source="127.0.0.1"):
    return clients.Wire(front.port(protocol, "starttls"), source=source)


def admitted(front, protocol, source):
    """A connection that is greeted, or None; the answer in place of the greeting is checked."""
    wire = plain(front, protocol, source)
    line = wire.line()
    if line.startswith(GREETING[protocol]):
        return wire
    assert line.startswith(BUSY[protocol]), line
    assert wire.rest() == ""
    wire.close()
    return None


# ---- how many

def test_sessions_of_one_address_are_bounded_and_others_are_not_harmed(launch_once, fakes, context):
    front = launch_once(limits={"max_sessions_per_address": 3, "exempt": '( "127.0.0.9/32", "127.1.0.0/16" )'}, **fakes)
    held = [admitted(front, PROTOCOLS[n], "127.0.0.1") for n in range(3)]
    assert all(held)
    for protocol in PROTOCOLS:
        with plain(front, protocol) as wire:
            client = wire.address
            assert wire.line().startswith(BUSY[protocol])
            assert wire.rest() == ""
        assert front.wait_event("refused", client=client)["reason"] == "limit"
        with clients.Wire(front.port(protocol, "implicit"), source="127.0.0.1") as wire:
            assert wire.rest() == "", "an implicit port closes without an octet"
    for source in ("127.0.0.2", "127.0.0.9", "127.1.2.3"):
        with admitted(front, "imap", source) as wire:
            assert wire.imap("a NOOP").startswith("a OK")
    exempt = [admitted(front, "imap", "127.0.0.9") for _ in range(8)]
    assert all(exempt), "an exempt network was refused"
    held.pop().close()
    again = wait_for(lambda: admitted(front, "imap", "127.0.0.1"), "the place of the session that ended")
    for wire in held + exempt + [again]:
        wire.close()


def test_the_count_holds_over_all_workers_and_after_the_death_of_one(launch_once, fakes):
    front = launch_once(limits={"max_sessions_per_address": 6}, workers=2, **fakes)
    held = [admitted(front, "imap", "127.0.0.1") for _ in range(6)]
    assert all(held) and admitted(front, "imap", "127.0.0.1") is None
    os.kill(front.children("worker")[0], signal.SIGKILL)
    front.wait_event("child_died")

    def survives(wire):
        try:
            return wire.imap("n NOOP").startswith("n OK")
        except (OSError, AssertionError):
            return False

    alive = sum(survives(wire) for wire in held)
    more = []

    def fill():
        try:
            wire = admitted(front, "imap", "127.0.0.1")
        except (OSError, AttributeError, AssertionError):
            return False
        if wire:
            more.append(wire)
        return len(more) >= 6 - alive

    wait_for(fill, "as many places as the dead worker had")
    assert admitted(front, "imap", "127.0.0.1") is None
    for wire in held + more:
        wire.close()


def test_sessions_in_all_are_bounded(launch_once, fakes):
    front = launch_once(limits={"max_sessions": 4, "max_sessions_per_address": 0}, **fakes)
    held = [admitted(front, "imap", "127.0.1.%d" % n) for n in range(1, 5)]
    assert all(held)
    assert admitted(front, "pop3", "127.0.1.9") is None
    held.pop().close()
    wait_for(lambda: admitted(front, "submission", "127.0.1.9"), "the place of the session that ended").close()
    for wire in held:
        wire.close()


# ---- how long

@pytest.mark.parametrize("begun", (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), ids=len)
@pytest.mark.parametrize("mode", MODES)
def test_a_handshake_that_stops_is_cut(hasty, mode, begun):
    with clients.Wire(hasty.port("imap", mode)) as wire:
        if mode == "starttls":
            wire.line()
            assert wire.imap("s STARTTLS").startswith("s OK")
        client = wire.address
        wire.send(begun)
        wire.rest()
    assert "handshake" in hasty.wait_event("session_end", client=client)["reason"]


def test_however_busy_a_client_is_it_must_log_in_in_time(hasty, context):
    def is_busy(protocol, mode):
        wire = plain(hasty, protocol) if mode == "starttls" else clients.Wire(hasty.port(protocol, mode), tls=context)
        with wire:
            assert wire.line().startswith(GREETING[protocol])
            end = time.monotonic() + 20
            answer = ""
            while time.monotonic() < end and not answer.startswith(LATE[protocol]):
                answer = wire.reply(protocol, NOOP[protocol])
                assert answer, "it ended without a word"
            assert answer.startswith(LATE[protocol])
            assert wire.rest() == ""
            assert wire.ending == ("eof" if mode == "starttls" else "close_notify")

    at_once(is_busy, ((protocol, mode) for protocol in PROTOCOLS for mode in MODES))


def test_a_client_that_logs_in_is_free_of_that_deadline(hasty, context):
    with clients.enter(hasty.port("imap", "implicit"), "imap", "implicit", context, "a", "b") as wire:
        with plain(hasty, "pop3") as slow:
            slow.line()
            slow.rest()    # its deadline, which began after ours
        assert wire.imap("n X") == "n OK did n X"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_idle_relay_ends_after_idle_timeout(launch_once, fakes, context, protocol):
    front = launch_once(limits={"idle_timeout": 1}, **fakes)
    with clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, "a", "b") as wire:
        client = wire.address
        text = wire.rest()
        assert text.startswith({"submission": "421 4.4.2"}.get(protocol, ""))
        assert wire.ending == "close_notify"
    assert front.wait_event("session_end", client=client)["reason"] == "idle_timeout"


def test_a_client_that_does_not_close_after_goodbye_is_let_go_soon(real, context):
    """Postern waits a moment for the client to close first; much less than the 20 s that this test has patience for."""
    def stays(protocol, line, logged_in):
        more = ("alice", USERS["alice"]) if logged_in else ()
        with (clients.enter if logged_in else clients.reach)(real.port(protocol, "implicit"), protocol, "implicit", context,
                                                             *more) as wire:
            client = wire.address
            wire.reply(protocol, line)
            wire.rest()
            real.wait_event("session_end", client=client)

    at_once(stays, (("imap", "a LOGOUT", False), ("imap", "a LOGOUT", True), ("submission", "QUIT", True)))


# ---- how much

def reached(front, protocol, context, mode):
    if mode == "implicit":
        return clients.reach(front.port(protocol, mode), protocol, mode, context)
    wire = plain(front, protocol)
    wire.line()
    return wire


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol, line, most, answer", [
    ("submission", "NOOP %s", 2000, "500 5.5.2"), ("imap", "a NOOP %s", 8192, ("a BAD", "* BAD")), ("pop3", "NOOP %s", 512, "-ERR")])
def test_a_line_over_the_bound_ends_the_session(front, context, protocol, line, most, answer, mode):
    with reached(front, protocol, context, mode) as wire:
        fitting = line % ("x" * (most - len(line % "") - 2))
        assert len(fitting) + 2 == most
        reply = wire.reply(protocol, fitting)
        assert reply and "long" not in reply.lower(), "a line of exactly the bound: %r" % reply
    with reached(front, protocol, context, mode) as wire:
        wire.send(fitting + "x\r\n")
        text = wire.rest()
        assert text.startswith(answer), text
        assert protocol != "imap" or "* BYE" in text
    with reached(front, protocol, context, mode) as wire:
        wire.try_send("x" * (most + 70000))    # and no end
        text = wire.rest()
        assert wire.ending != "eof" or text.startswith(answer), text


@pytest.mark.parametrize("literal", ["{16385}", "{16385+}", "{4294967296}", "{99999999999999999999}", "{99999999999999999999+}",
                                     "{-1}", "{}", "{+}", "{1 }", "{0x5}"])
def test_a_literal_over_the_bound_or_malformed_is_refused(front, context, literal):
    with reached(front, "imap", context, "implicit") as wire:
        wire.send("a LOGIN %s\r\n" % literal)
        answer = wire.line()
        assert answer.startswith("a BAD"), answer


def test_a_literal_over_the_bound_ends_the_session(front, context):
    for literal in ("{16385}", "{16385+}"):
        with reached(front, "imap", context, "implicit") as wire:
            wire.send("a LOGIN %s\r\n" % literal)
            text = wire.rest()
            assert text.startswith("a BAD") and "\r\n* BYE" in text, text


def test_two_literals_share_the_bound(front, context):
    with reached(front, "imap", context, "implicit") as wire:
        wire.send("a LOGIN {200+}\r\n%s {16185}\r\n" % ("u" * 200))
        text = wire.rest()
        assert text.startswith("a BAD") and "* BYE" in text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol, line", [("submission", "FOO"), ("imap", "a FOO"), ("pop3", "FOO")])
def test_the_session_ends_after_ten_refused_commands_and_not_before(front, context, protocol, line, mode):
    refused = {"submission": "5", "imap": "a BAD", "pop3": "-ERR"}[protocol]
    with reached(front, protocol, context, mode) as wire:
        for _ in range(9):
            assert wire.reply(protocol, line).startswith(refused)
        assert wire.reply(protocol, NOOP[protocol]).startswith(("250", "n OK", "+OK")), "it ended too early"
        wire.try_send(line + "\r\n")
        text = wire.rest()
        assert text.startswith(refused)
        assert wire.ending == ("eof" if mode == "starttls" else "close_notify")
        assert {"submission": "421 4.7.0", "imap": "* BYE", "pop3": "-ERR"}[protocol] in text


def test_a_bare_lf_or_nul_is_no_line_end(front, context):
    for protocol, line in (("submission", "NOOP\nNOOP\r\n"), ("imap", "a NOOP\nb NOOP\r\n"), ("pop3", "NOOP\nNOOP\r\n")):
        for mode in MODES:
            with reached(front, protocol, context, mode) as wire:
                wire.send(line)
                answer = wire.line()
                assert answer.startswith({"submission": "500", "imap": ("a BAD", "* BAD"), "pop3": "-ERR"}[protocol]), answer
