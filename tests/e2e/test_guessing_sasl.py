"""Guessing passwords where Cyrus SASL decides: the same rules hold, by every mechanism, and its verdict is told to nobody who is refused."""
import time

import pytest

from conftest import MODES, PROTOCOLS
from support import clients, scram
from support.postern import Postern
from support.wait import at_once
from test_sasl import MECHANISMS, PASSWORDS, auth, configuration, masters, pools, skip_without_postfix, users  # noqa: F401

AT_ONCE = {"failure_delay_ms": 0, "failure_delay_max_ms": 0}
REFUSING = "window = 3600; delay_from = 0; refuse_from = 6; user_delay_from = 0; delay_max_ms = 0; delay_ms = 0;"
ENDLESS = "window = 3600; refuse_from = 0; delay_ms = 60000; delay_max_ms = 60000; "
HERE, THERE = "127.0.0.1", "127.0.77.2"
RIGHT = PASSWORDS["alice"]


@pytest.fixture
def start(tmp_path, certificate, pools, users):    # noqa: F811
    started = []

    def begin(guessing, **limits):
        front = Postern(str(tmp_path), configuration(certificate, pools, auth(users.options), {**AT_ONCE, **limits}, guessing=guessing))
        started.append(front)
        return front.start()
    yield begin
    for front in started:
        front.stop()


def reach(front, context, source, protocol="imap", mode="implicit"):
    return clients.reach(front.port(protocol, mode), protocol, mode, context, source=source)


def attempt(front, context, user, password, source=HERE, mechanism="PLAIN", protocol="imap", mode="implicit", at_once=True):
    """The last reply to one login in a session of its own; without a mechanism by the protocol's own command."""
    with reach(front, context, source, protocol, mode) as wire:
        if mechanism is None:
            return clients.log_in(wire, protocol, user, password)
        return scram.log_in(wire, protocol, mechanism, user, password, at_once=at_once)


def guess(front, context, count, source=HERE, user="alice", first=0):
    for n in range(first, first + count):
        protocol = PROTOCOLS[n % 3]
        answer = attempt(front, context, user, "wrong-%d" % n, source, MECHANISMS[n % len(MECHANISMS)], protocol, MODES[n % 2])
        assert answer.startswith(clients.REFUSED[protocol]), answer


WAYS = [(mechanism, at_once) for mechanism in MECHANISMS for at_once in (True, False)] + [(None, True)]


def test_a_guesser_is_refused_by_every_mechanism_and_those_we_know_are_not(start, context, masters):    # noqa: F811
    front = start(REFUSING)
    assert attempt(front, context, "bob", PASSWORDS["bob"]).startswith("l OK")
    guess(front, context, 6)
    for mechanism, at_once in WAYS:
        for password in RIGHT, "wrong":
            answer = attempt(front, context, "alice", password, HERE, mechanism, at_once=at_once)
            assert answer.startswith(clients.TEMPORARY["imap"]), (mechanism, answer)
    for mechanism, at_once in WAYS[:-1]:
        answer = attempt(front, context, "bob", PASSWORDS["bob"], HERE, mechanism, at_once=at_once)
        assert answer.startswith("l OK"), (mechanism, answer)
    skip_without_postfix(masters, "submission")
    answer = attempt(front, context, "bob", PASSWORDS["bob"], protocol="submission")
    assert answer.startswith("235 "), answer


def test_who_is_refused_does_not_see_that_scram_was_content(start, context):
    front = start(REFUSING)
    assert attempt(front, context, "bob", PASSWORDS["bob"]).startswith("l OK")
    guess(front, context, 6)
    one = scram.Scram("SCRAM-SHA-256", "alice", RIGHT)
    with reach(front, context, HERE) as wire:
        assert wire.imap("l AUTHENTICATE SCRAM-SHA-256 " + clients.encoded(one.step(None))).startswith(clients.TEMPORARY["imap"])


@pytest.mark.parametrize("mechanism", ("PLAIN", "LOGIN", "SCRAM-SHA-256"))
def test_many_at_once_do_not_learn_more_than_may_fail(start, context, mechanism):
    """All of them have begun before the first has failed; of the last the password is right."""
    front = start(REFUSING)
    wires = []
    for n in range(12):
        password = RIGHT if n == 11 else "wrong-%d" % n
        wire = reach(front, context, THERE)
        if mechanism == "PLAIN":
            answer, last = wire.imap("l AUTHENTICATE PLAIN"), clients.plain("alice", password)
        elif mechanism == "LOGIN":
            answer, last = wire.imap("l AUTHENTICATE LOGIN " + clients.encoded("alice")), clients.encoded(password)
        else:
            one = scram.Scram(mechanism, "alice", password)
            answer = wire.imap("l AUTHENTICATE %s %s" % (mechanism, clients.encoded(one.step(None))))
            last = clients.encoded(one.step(scram._decoded(answer[2:])))
        assert answer.startswith("+ "), answer
        wires.append((wire, last))
    answers = [wire.imap(last, tag="l") for wire, last in wires]
    assert all(answer.startswith(clients.REFUSED["imap"]) for answer in answers[:6]), answers
    assert all(answer.startswith(clients.TEMPORARY["imap"]) for answer in answers[6:]), answers
    for wire, _ in wires:
        wire.close()


def test_the_same_wrong_password_counts_once(start, context):
    front = start(REFUSING)
    for mechanism in ("PLAIN", "LOGIN", None):
        for _ in range(4):
            assert attempt(front, context, "alice", "old", HERE, mechanism).startswith(clients.REFUSED["imap"])
    front.wait_event("auth_failed", count=12)
    assert [one["repeated"] for one in front.events("auth_failed")] == 3 * (["no"] + 3 * ["yes"])
    assert all(one["user"] == "alice" for one in front.events("auth_failed"))
    # SCRAM shows nobody whether it is the same
    for _ in range(2):
        assert attempt(front, context, "alice", "old", HERE, "SCRAM-SHA-256").startswith(clients.REFUSED["imap"])
    front.wait_event("auth_failed", count=14)
    assert [one["repeated"] for one in front.events("auth_failed")][-2:] == ["no", "no"]


def assert_held(front, context, user, password, source, mechanism):
    """No answer until the time for a login is over."""
    with reach(front, context, source) as wire:
        if mechanism is None:
            wire.send("l LOGIN %s %s\r\n" % (user, password))
        elif mechanism == "PLAIN":
            wire.send("l AUTHENTICATE PLAIN %s\r\n" % clients.plain(user, password))
        else:    # it would tell its client right from wrong before the verdict
            wire.send("l AUTHENTICATE %s %s\r\n" % (mechanism, clients.encoded(scram.Scram(mechanism, user, password).step(None))))
        assert wire.rest().startswith("* BYE")


SOON = {"preauth_timeout": 2, "handshake_timeout": 1, "auth_timeout": 1, "backend_timeout": 1}


def test_an_address_is_delayed_right_or_wrong(start, context):
    front = start(ENDLESS + "delay_from = 3; user_delay_from = 0;", **SOON)
    assert attempt(front, context, "bob", PASSWORDS["bob"]).startswith("l OK")
    guess(front, context, 3)
    at_once(assert_held, ((front, context, "alice", password, HERE, mechanism)
                          for mechanism in ("PLAIN", None, "SCRAM-SHA-256") for password in (RIGHT, "wrong")))
    assert attempt(front, context, "bob", PASSWORDS["bob"]).startswith("l OK")
    assert attempt(front, context, "alice", RIGHT, THERE).startswith("l OK")


def test_a_name_under_attack_is_delayed_only_where_the_user_has_not_been(start, context):
    front = start(ENDLESS + "delay_from = 0; user_delay_from = 5;", **SOON)
    assert attempt(front, context, "alice", RIGHT, THERE, "SCRAM-SHA-256").startswith("l OK")
    for n in range(5):
        # one name, however it is written: what SASL made of it counts
        name = "  alice " if MECHANISMS[n] in ("PLAIN", "LOGIN") else "alice"
        guess(front, context, 1, "127.1.%d.1" % n, name, n)
    told = front.wait_event("guessing")
    assert (told["scope"], told["answer"], told["count"], told["user"]) == ("user", "delay", "5", "alice")
    at_once(assert_held, ((front, context, "alice", password, "127.2.0.1", mechanism)
                          for password, mechanism in ((RIGHT, "PLAIN"), ("wrong", "PLAIN"), ("wrong", "SCRAM-SHA-512"))))
    assert attempt(front, context, "bob", PASSWORDS["bob"], "127.2.0.1").startswith("l OK")
    for mechanism in MECHANISMS:
        assert attempt(front, context, "alice", RIGHT, THERE, mechanism).startswith("l OK")


def test_a_delay_passes_once_for_each_attempt(start, context):
    front = start("window = 3600; delay_from = 1; refuse_from = 0; user_delay_from = 0; delay_ms = 1000; delay_max_ms = 1000;")
    guess(front, context, 1)

    def timed(user, password, mechanism):
        with reach(front, context, HERE) as wire:
            began = time.monotonic()
            answer = scram.log_in(wire, "imap", mechanism, user, password) if mechanism else clients.log_in(wire, "imap", user, password)
            assert 1 <= time.monotonic() - began < 2, (mechanism, user)
            return answer
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256", None):
        assert timed("alice", "wrong", mechanism).startswith(clients.REFUSED["imap"])
    assert timed("bob", PASSWORDS["bob"], "SCRAM-SHA-256").startswith("l OK")
    assert timed("alice", RIGHT, "PLAIN").startswith("l OK")
