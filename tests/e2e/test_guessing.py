"""Guessing passwords: over many sessions and both workers an address is delayed, then refused for now; nobody else is harmed."""
import os
import pathlib
import shutil
import signal
import threading

import pytest

from conftest import MODES, PROTOCOLS
from support import clients, liars
from support.postern import ROOT
from support.wait import wait_for

USERS = {b"alice": b"right-of-alice", b"bob": b"right-of-bob", b"mallory": b"right-of-mallory"}
AT_ONCE = {"failure_delay_ms": 0, "failure_delay_max_ms": 0}
NEVER = "delay_from = 0; refuse_from = 0; user_delay_from = 0;"
REFUSING = "window = 3600; delay_from = 0; refuse_from = 6; user_delay_from = 0; delay_max_ms = 0; delay_ms = 0;"
GUESSER, OTHER = "127.0.0.1", "127.0.77.2"


@pytest.fixture
def stores():
    with liars.Fake(liars.ImapStore(USERS)) as imap, liars.Fake(liars.Pop3Store(USERS)) as pop3, \
            liars.Fake(liars.SubmissionStore(USERS)) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture
def start(launch_once, stores):
    def begin(guessing, **settings):
        settings.setdefault("limits", AT_ONCE)
        return launch_once(guessing=guessing, **settings, **{name: fake.port for name, fake in stores.items()})
    return begin


def attempt(front, context, user, password, source=GUESSER, protocol="imap", mode="implicit"):
    """The answer to one login in a session of its own."""
    with clients.reach(front.port(protocol, mode), protocol, mode, context, source=source) as wire:
        return clients.log_in(wire, protocol, user, password)


def guess(front, context, count, source=GUESSER, user="alice", first=0):
    """Wrong passwords, each another, all of them refused by the store."""
    for n in range(first, first + count):
        protocol, mode = PROTOCOLS[n % 3], MODES[n % 2]
        answer = attempt(front, context, user, "wrong-%d" % n, source, protocol, mode)
        assert answer.startswith(clients.REFUSED[protocol]), answer


def asked(stores):
    """Logins that have reached the stores."""
    return sum("login" in talk.notes for fake in stores.values() for talk in fake.conversations)


def test_a_guesser_is_refused_for_now_and_nobody_else_is(start, stores, context):
    front = start(REFUSING)
    assert attempt(front, context, "bob", "right-of-bob").startswith(clients.ACCEPTED["imap"])
    guess(front, context, 6)
    before = asked(stores)
    for protocol in PROTOCOLS:
        for mode in MODES:
            # not even the right password; and not "wrong", at which mail programs throw a password away
            answer = attempt(front, context, "alice", "right-of-alice", protocol=protocol, mode=mode)
            assert answer.startswith(clients.TEMPORARY[protocol]), answer
    assert asked(stores) == before, "a refused attempt reached the store"

    for protocol in PROTOCOLS:
        answer = attempt(front, context, "alice", "right-of-alice", OTHER, protocol)
        assert answer.startswith(clients.ACCEPTED[protocol]), answer
    # bob has logged in from there before: not refused, however his name comes
    for protocol in PROTOCOLS:
        answer = attempt(front, context, "bob", "right-of-bob", protocol=protocol)
        assert answer.startswith(clients.ACCEPTED[protocol]), answer
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source=GUESSER) as wire:
        answer = wire.imap("l AUTHENTICATE PLAIN " + clients.plain("alice", "right-of-alice"))
        assert answer.startswith(clients.TEMPORARY["imap"]), answer

    assert front.wait_event("auth_temporary", count=7, reason="too many failed logins from this address")
    told = front.events("guessing")
    assert [(one["scope"], one["prefix"], one["answer"], one["count"], one["window"]) for one in told] == \
        [("address", "127.0.0.1/32", "refuse", "6", "3600")]
    failed = front.events("auth_failed")
    assert len(failed) == 6 and all(one["address"] == GUESSER and one["repeated"] == "no" for one in failed)


def test_what_is_refused_ends_the_session_after_a_while(start, context):
    front = start(REFUSING)
    guess(front, context, 6)
    with clients.reach(front.port("submission", "implicit"), "submission", "implicit", context, source=GUESSER) as wire:
        for _ in range(2):
            assert clients.log_in(wire, "submission", "alice", "right-of-alice").startswith("454 4.7.0 ")
        assert wire.smtp("AUTH LOGIN").startswith("454 4.7.0 "), "a password was asked for"
        assert wire.smtp().startswith("421 4.7.0 ")


def test_an_account_of_ones_own_is_no_help(start, context):
    front = start(REFUSING)
    for n in range(6):
        guess(front, context, 1, first=n)
        assert attempt(front, context, "mallory", "right-of-mallory").startswith(clients.ACCEPTED["imap"])
    assert attempt(front, context, "alice", "wrong").startswith(clients.TEMPORARY["imap"])
    assert attempt(front, context, "mallory", "right-of-mallory").startswith(clients.ACCEPTED["imap"])


def test_who_finds_the_right_password_at_last_is_forgiven(start, context):
    front = start(REFUSING)
    for round_ in range(4):
        guess(front, context, 5, first=5 * round_)
        assert attempt(front, context, "alice", "right-of-alice").startswith(clients.ACCEPTED["imap"])
    assert not front.events("guessing")


def test_an_old_password_again_and_again_counts_once(start, context):
    front = start(REFUSING)
    for n in range(12):
        protocol = PROTOCOLS[n % 3]
        answer = attempt(front, context, "alice", "old-password", protocol=protocol, mode=MODES[n % 2])
        assert answer.startswith(clients.REFUSED[protocol]), answer
    front.wait_event("auth_failed", count=12)
    assert [one["repeated"] for one in front.events("auth_failed")] == ["no"] + 11 * ["yes"]
    assert attempt(front, context, "bob", "right-of-bob").startswith(clients.ACCEPTED["imap"])


def test_temporary_failures_do_not_count(start, stores, context):
    for fake in stores.values():
        fake.script = lambda talk: None    # closes at once
    front = start(REFUSING)
    for n in range(9):
        assert attempt(front, context, "alice", "wrong-%d" % n).startswith(clients.TEMPORARY["imap"])
    stores["imap"].script = liars.ImapStore(USERS)
    assert attempt(front, context, "alice", "right-of-alice").startswith(clients.ACCEPTED["imap"])


def test_the_exempt_are_never_refused(start, context):
    front = start(REFUSING + 'exempt = ( "127.0.0.0/24" );')
    guess(front, context, 9)
    assert attempt(front, context, "alice", "right-of-alice").startswith(clients.ACCEPTED["imap"])
    guess(front, context, 6, source="127.0.1.1", user="bob", first=100)
    assert attempt(front, context, "bob", "x", "127.0.1.1").startswith(clients.TEMPORARY["imap"])


def test_those_exempt_from_limits_are_exempt_here_too(start, context):
    front = start(REFUSING, limits={**AT_ONCE, "exempt": '( "127.0.0.1/32" )'})
    guess(front, context, 9)
    assert attempt(front, context, "alice", "right-of-alice").startswith(clients.ACCEPTED["imap"])


def test_the_death_of_the_workers_does_not_make_it_forgotten(start, context):
    front = start(REFUSING)
    guess(front, context, 6)
    dead = front.children("worker")
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    front.wait_event("child_started", count=len(dead), kind="worker")

    def answer():
        try:
            return attempt(front, context, "alice", "right-of-alice")
        except (OSError, AssertionError):
            return None    # nobody has taken over yet

    assert wait_for(answer, "workers that serve").startswith(clients.TEMPORARY["imap"])


def test_once_the_window_is_over_all_is_forgotten(start, context):
    front = start(REFUSING.replace("3600", "6"))
    guess(front, context, 6)
    assert attempt(front, context, "alice", "right-of-alice").startswith(clients.TEMPORARY["imap"])
    wait_for(lambda: attempt(front, context, "alice", "right-of-alice").startswith(clients.ACCEPTED["imap"]),
             "the end of the window")


class SlowStore:
    """IMAP that lets nobody know before `decide` is set: bob is in, and nobody else."""

    def __init__(self):
        self.decide = threading.Event()

    def __call__(self, talk):
        talk.send("* OK slow\r\n")
        while True:
            tag, name, arguments = liars.imap_command(talk)
            if name != "LOGIN":
                talk.send("* CAPABILITY IMAP4rev1\r\n%s OK\r\n" % tag)
                continue
            talk.note("login", arguments)
            assert self.decide.wait(liars.DEADLINE)
            talk.send("%s %s\r\n" % (tag, "OK" if arguments == [b"bob", USERS[b"bob"]] else "NO [AUTHENTICATIONFAILED] no"))


def many(front, context, count, user, password):
    """Sessions that have all sent their login."""
    wires = [clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source=GUESSER) for _ in range(count)]
    for n, wire in enumerate(wires):
        wire.send("l LOGIN %s %s\r\n" % (user, password.replace("#", str(n))))
    return wires


def test_many_at_once_do_not_slip_through_together(start, stores, context):
    """The store keeps everybody waiting; no more are let to it than may fail."""
    stores["imap"].script = slow = SlowStore()
    front = start(REFUSING, workers=1)
    wires = many(front, context, 20, "alice", "wrong-#")
    wait_for(lambda: asked(stores) == 6, "the first to reach the store")
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source=OTHER) as wire:
        assert wire.imap("n NOOP").startswith("n OK")
    slow.decide.set()
    answers = [wire.imap(tag="l") for wire in wires]
    assert sum(answer.startswith(clients.REFUSED["imap"]) for answer in answers) == 6, answers
    assert sum(answer.startswith(clients.TEMPORARY["imap"]) for answer in answers) == 14, answers
    assert asked(stores) == 6
    for wire in wires:
        wire.close()


def test_who_waits_for_others_waits_no_less_than_the_delay(start, stores, context):
    front = start("window = 3600; delay_from = 1; refuse_from = 6; user_delay_from = 0; delay_ms = 60000; delay_max_ms = 60000;",
                  workers=1, limits={**AT_ONCE, "preauth_timeout": 4, "handshake_timeout": 1, "auth_timeout": 1, "backend_timeout": 3})
    assert attempt(front, context, "bob", "right-of-bob").startswith(clients.ACCEPTED["imap"])
    guess(front, context, 1)
    stores["imap"].script = slow = SlowStore()
    before = asked(stores)
    wires = many(front, context, 5, "bob", "right-of-bob")
    wait_for(lambda: asked(stores) == before + 5, "as many as may fail")
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source=GUESSER) as late:
        late.send("l LOGIN alice right-of-alice\r\n")
        assert attempt(front, context, "alice", "x", OTHER, "pop3").startswith(clients.REFUSED["pop3"])    # by then she waits
        slow.decide.set()
        assert all(wire.imap(tag="l").split("\n")[-1].startswith("l OK") for wire in wires)
        assert late.rest().startswith("* BYE")
    assert asked(stores) == before + 6, "a guess that waited reached the store before its time"
    for wire in wires:
        wire.close()


def test_an_address_is_delayed_and_the_delay_is_bounded_by_the_time_for_a_login(start, stores, context):
    front = start("window = 3600; delay_from = 3; refuse_from = 0; user_delay_from = 0; delay_ms = 60000; delay_max_ms = 60000;",
                  limits={**AT_ONCE, "preauth_timeout": 2, "handshake_timeout": 1, "auth_timeout": 1, "backend_timeout": 1})
    guess(front, context, 3)
    before = asked(stores)
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source=GUESSER) as wire:
        wire.send("l LOGIN alice right-of-alice\r\n")
        assert attempt(front, context, "bob", "right-of-bob", OTHER).startswith(clients.ACCEPTED["imap"])
        assert wire.rest().startswith("* BYE")
    assert asked(stores) == before + 1
    told = front.wait_event("guessing")
    assert (told["scope"], told["answer"], told["count"]) == ("address", "delay", "3")


def test_a_delayed_login_goes_on_when_its_time_has_come(start, context):
    front = start("window = 3600; delay_from = 1; refuse_from = 0; user_delay_from = 0; delay_ms = 200; delay_max_ms = 200;")
    guess(front, context, 1)
    for protocol in PROTOCOLS:
        answer = attempt(front, context, "bob", "right-of-bob", protocol=protocol)
        assert answer.startswith(clients.ACCEPTED[protocol]), answer


def test_a_name_under_attack_is_delayed_only_where_the_user_has_not_been(start, stores, context):
    front = start("window = 3600; delay_from = 0; refuse_from = 0; user_delay_from = 4; delay_ms = 60000; delay_max_ms = 60000;",
                  limits={**AT_ONCE, "preauth_timeout": 2, "handshake_timeout": 1, "auth_timeout": 1, "backend_timeout": 1})
    assert attempt(front, context, "alice", "right-of-alice", OTHER).startswith(clients.ACCEPTED["imap"])
    for n in range(4):
        guess(front, context, 1, source="127.1.%d.1" % n, first=n)
    told = front.wait_event("guessing")
    assert (told["scope"], told["answer"], told["user"]) == ("user", "delay", "alice")
    before = asked(stores)
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source="127.2.0.1") as wire:
        wire.send("l LOGIN alice right-of-alice\r\n")
        assert attempt(front, context, "alice", "right-of-alice", OTHER).startswith(clients.ACCEPTED["imap"])
        assert attempt(front, context, "bob", "right-of-bob", "127.2.0.1").startswith(clients.ACCEPTED["imap"])
        assert wire.rest().startswith("* BYE")
    assert asked(stores) == before + 2


# ---- fail2ban

FILTER = ROOT / "conf.d" / "fail2ban" / "filter.d" / "postern.conf"
LOG = 'target = "stderr"; format = "%s"; level = "info";'
FORGED = (
    'client=203.0.113.66:25', 'address=203.0.113.66', '" address=203.0.113.66 repeated=no "',
    'x" level=warning event=auth_failed protocol=imap listener=1 client=1 address=203.0.113.66 mechanism=PLAIN repeated=no y="',
    'postern[1]: level=warning event=auth_failed protocol=imap listener=1 client=1 address=203.0.113.66 mechanism=X repeated=no ',
    '","address":"203.0.113.66","mechanism":"PLAIN","repeated":"no","a":"', "time=2020-01-01T00:00:00.000Z level=warning",
    "\\\" \\", "{\"time\":\"2020-01-01T00:00:00.000Z\"", "203.0.113.66", "from 203.0.113.66 port 7",
)


def banned(log, folder):
    """Which addresses fail2ban finds in these lines, in order."""
    path = pathlib.Path(folder) / "postern.log"
    path.write_text("".join(line + "\n" for line in log), encoding="utf-8", errors="surrogateescape")
    done = clients.run("fail2ban-regex", "-o", "<ip>", path, FILTER)
    assert done.returncode == 0, done.stdout
    return [line for line in done.stdout.split("\n") if line]


@pytest.mark.skipif(shutil.which("fail2ban-regex") is None, reason="fail2ban is not installed")
@pytest.mark.parametrize("form", ("logfmt", "json"))
def test_the_fail2ban_filter_finds_who_fails_and_nobody_else(start, context, tmp_path, form):
    front = start(NEVER, log=LOG % form)
    for n, protocol in enumerate(PROTOCOLS):
        attempt(front, context, "alice", "wrong-%d" % n, "127.0.9.%d" % n, protocol, MODES[n % 2])
    attempt(front, context, "alice", "wrong-0", "127.0.9.0", "submission", "starttls")    # again: not counted
    attempt(front, context, "alice", "right-of-alice", "127.0.9.7")
    with clients.Wire(front.port("pop3", "starttls"), source="127.0.9.8") as wire:
        assert wire.reply("pop3", "USER alice").startswith("+OK")    # the greeting
    wait_for(lambda: sum("session_end" in line for line in front.lines()) == 6, "the end of every session")
    assert banned(front.lines(), tmp_path) == ["127.0.9.0", "127.0.9.1", "127.0.9.2"]


@pytest.mark.skipif(shutil.which("fail2ban-regex") is None, reason="fail2ban is not installed")
@pytest.mark.parametrize("form", ("logfmt", "json"))
def test_no_user_name_makes_fail2ban_pick_another_host(start, context, tmp_path, form):
    front = start(NEVER, log=LOG % form)
    for name in FORGED:
        with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source="127.0.9.1") as wire:
            wire.imap("l AUTHENTICATE PLAIN " + clients.plain(name, "wrong"))
        with clients.reach(front.port("pop3", "starttls"), "pop3", "starttls", context, source="127.0.9.1") as wire:
            wire.pop3("AUTH PLAIN " + clients.plain(name, "wrong"))
        with clients.Wire(front.port("pop3", "starttls"), source="127.0.9.1") as wire:    # before TLS
            wire.line()
            wire.pop3("USER " + name)
    front.wait_event("session_end", count=3 * len(FORGED))
    lines = front.lines()
    assert sum("203.0.113.66" in line for line in lines) > len(FORGED), "the names did not come that far"
    assert set(banned(lines, tmp_path)) == {"127.0.9.1"}
    # the same behind what syslog writes, and as the journal gives it
    for prefix in ("Nov 22 02:14:51 host postern[12]: ", "2026-11-22T02:14:51.1+01:00 host postern[12]: ", "host postern[12]: "):
        assert set(banned([prefix + line for line in lines], tmp_path)) == {"127.0.9.1"}, prefix
    assert len(banned(lines, tmp_path)) == len(front.events("auth_failed", repeated="no")) > len(FORGED) / 2
