"""Logins of every form: right, wrong and odd, and what the client hears and sees afterwards."""
import re
import time

import pytest

from conftest import MODES, ODD_USERS, PROTOCOLS, USERS
from support import clients, liars
from support.wait import at_once

FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20}


@pytest.fixture(scope="module")
def fakes():
    users = {b"alice": b"right", b"back\\slash": b'quo"te'}
    with liars.Fake(liars.ImapStore(users)) as imap, liars.Fake(liars.Pop3Store(users)) as pop3, \
            liars.Fake(liars.SubmissionStore(users)) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture(scope="module")
def front(launch, fakes):
    return launch(limits=FAST, **{name: fake.port for name, fake in fakes.items()})


@pytest.fixture(scope="module")
def patient(launch, dovecot, postfix):
    """Before the real stores, with room for many failed logins."""
    return launch(limits=dict(FAST, max_auth_failures=100, max_refused_commands=1000),
                  imap=dovecot.imap_port, pop3=dovecot.pop3_port, submission=postfix.port)


def enter(front, protocol, context, user="alice", password="right", mode="implicit"):
    return clients.enter(front.port(protocol, mode), protocol, mode, context, user, password)


def reach(front, protocol, context, mode="implicit"):
    return clients.reach(front.port(protocol, mode), protocol, mode, context)


# ---- refused

def test_wrong_password_and_unknown_user_sound_the_same(real, context):
    def sounds(protocol, mode):
        answers = set()
        for user, password in (("alice", "wrong"), ("nobody-of-that-name", "wrong"), ("nobody-of-that-name", USERS["alice"])):
            with clients.reach(real.port(protocol, mode), protocol, mode, context) as wire:
                answers.add(clients.log_in(wire, protocol, user, password))
        assert len(answers) == 1, answers
        assert answers.pop().startswith(clients.REFUSED[protocol])

    at_once(sounds, ((protocol, mode) for protocol in PROTOCOLS for mode in MODES))    # each refusal takes the store half a second


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_login_is_logged_and_the_next_attempt_may_succeed(front, context, protocol):
    with reach(front, protocol, context) as wire:
        client = wire.address
        assert clients.log_in(wire, protocol, "alice", "wrong-and-secret").startswith(clients.REFUSED[protocol])
        assert clients.log_in(wire, protocol, "alice", "right").startswith(clients.ACCEPTED[protocol])
    event = front.wait_event("auth_failed", client=client)
    assert event["user"] == "alice" and event["protocol"] == protocol
    assert "wrong-and-secret" not in front.log()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_session_ends_after_max_auth_failures(front, context, protocol):
    with reach(front, protocol, context) as wire:
        for _ in range(3):
            assert clients.log_in(wire, protocol, "alice", "wrong").startswith(clients.REFUSED[protocol])
        text = wire.rest()
        assert wire.ending == "close_notify"
        assert text.startswith({"submission": "421 4.7.0", "imap": "* BYE", "pop3": ""}[protocol]), text


def test_failures_are_answered_later_and_later(launch_once, fakes, context):
    """Only a lower bound of the pause is judged: a busy machine makes it longer, never shorter."""
    front = launch_once(limits={"failure_delay_ms": 200, "failure_delay_max_ms": 400, "max_auth_failures": 4},
                        imap=fakes["imap"].port)
    with reach(front, "imap", context) as wire:
        for expected in (0.2, 0.4, 0.4):
            begin = time.monotonic()
            assert clients.log_in(wire, "imap", "alice", "wrong").startswith(clients.REFUSED["imap"])
            assert time.monotonic() - begin >= expected
        assert clients.log_in(wire, "imap", "alice", "right").startswith("l OK"), "a right password waits for nobody"


def test_authorization_as_somebody_else_is_refused(front, fakes, context):
    for protocol, line, answer in (
            ("submission", "AUTH PLAIN " + clients.plain("alice", "right", "bob"), "535 5.7.8"),
            ("imap", "a AUTHENTICATE PLAIN " + clients.plain("alice", "right", "bob"), "a NO [AUTHORIZATIONFAILED]"),
            ("pop3", "AUTH PLAIN " + clients.plain("alice", "right", "bob"), "-ERR [AUTH]")):
        before = len(fakes[protocol].conversations)
        with reach(front, protocol, context) as wire:
            assert wire.reply(protocol, line).startswith(answer)
        assert len(fakes[protocol].conversations) == before, "the backend was asked"


def test_an_authorization_identity_that_is_ones_own_is_fine(front, context):
    with reach(front, "imap", context) as wire:
        assert wire.imap("a AUTHENTICATE PLAIN " + clients.plain("alice", "right", "alice")).startswith("a OK")


# ---- the exchange

@pytest.mark.parametrize("protocol, start, challenge, cancelled, broken, unknown, empty", [
    ("submission", "AUTH PLAIN", "334 ", "501 5.7.0", "501 5.5.2", "504 5.5.4", "535 5.7.8"),
    ("imap", "a AUTHENTICATE PLAIN", "+ ", "a BAD", "a BAD", "a NO [CANNOT]", "a NO [AUTHENTICATIONFAILED]"),
    ("pop3", "AUTH PLAIN", "+ ", "-ERR", "-ERR", "-ERR", "-ERR [AUTH]"),
])
def test_each_outcome_of_an_exchange_has_its_reply(front, context, protocol, start, challenge, cancelled, broken, unknown,
                                                   empty):
    with reach(front, protocol, context) as wire:
        def answer(line):
            wire.send(line + "\r\n")
            return wire.imap(tag="a") if protocol == "imap" else wire.smtp() if protocol == "submission" else wire.pop3()

        assert (answer(start) + " ").startswith(challenge)
        assert answer("*").startswith(cancelled)
        assert (answer(start) + " ").startswith(challenge)
        assert answer("not base64!").startswith(broken)
        assert answer(start.replace("PLAIN", "CRAM-MD5")).startswith(unknown)
        assert answer(start.replace("PLAIN", "XOAUTH2 eA==")).startswith(unknown)
    with reach(front, protocol, context) as wire:
        assert answer(start + " " + clients.plain("", "x")).startswith(empty)
        assert answer(start + " " + clients.plain("alice", "")).startswith(empty)
    with reach(front, protocol, context) as wire:
        assert answer(start + " " + clients.plain("alice", "right")).startswith(
            {"submission": "235", "imap": "a OK", "pop3": "+OK"}[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_login_mechanism_asks_for_name_and_password(front, context, protocol):
    with reach(front, protocol, context) as wire:
        name, cont = {"submission": ("AUTH LOGIN", "334 "), "imap": ("a AUTHENTICATE LOGIN", "+ "),
                      "pop3": ("AUTH LOGIN", "+ ")}[protocol]
        ask = (lambda line: wire.imap(line, tag="a")) if protocol == "imap" else (lambda line: wire.reply(protocol, line))
        assert ask(name) == cont + clients.encoded("Username:")
        assert ask(clients.encoded("alice")) == cont + clients.encoded("Password:")
        assert ask(clients.encoded("right")).startswith(
            {"submission": "235", "imap": "a OK", "pop3": "+OK"}[protocol])


def test_a_line_is_the_response_whatever_it_looks_like(front, context):
    with reach(front, "imap", context) as wire:
        assert wire.imap("a AUTHENTICATE PLAIN").startswith("+")
        assert wire.imap("b LOGIN alice right", tag="a").startswith("a BAD"), "a command was run in place of a response"
        assert wire.imap("c NOOP").startswith("c OK")
    with reach(front, "submission", context) as wire:
        assert wire.smtp("AUTH PLAIN").startswith("334")
        assert wire.smtp("AUTH PLAIN " + clients.plain("alice", "right")).startswith("501 5.5.2")


def test_smtp_auth_keeps_its_rules(front, context):
    with clients.Wire(front.port("submission", "implicit"), tls=context) as wire:
        assert wire.smtp().startswith("220")
        assert wire.smtp("AUTH PLAIN " + clients.plain("alice", "right")).startswith("503 5.5.1"), "before EHLO"
        assert wire.smtp("EHLO c.example.test").startswith("250")
        assert wire.smtp("AUTH PLAIN " + clients.plain("alice", "right")).startswith("235")
        assert wire.smtp("AUTH PLAIN " + clients.plain("alice", "right")).startswith("503 5.5.1"), "a second time"


# ---- IMAP LOGIN

@pytest.mark.parametrize("command", [
    "a LOGIN alice right", 'a LOGIN "alice" "right"', "a login alice right", 'a LOGIN "al\\"ice" right',
])
def test_imap_login_with_atoms_and_quoted_strings(front, fakes, context, command):
    with reach(front, "imap", context) as wire:
        answer = wire.imap(command)
        wanted = "a NO [AUTHENTICATIONFAILED]" if "\\" in command else "a OK"
        assert answer.startswith(wanted), answer
    if "\\" in command:
        assert any(talk.notes.get("login") == (b'al"ice', b"right") for talk in fakes["imap"].conversations)


def test_imap_login_with_synchronising_literals(front, fakes, context):
    with reach(front, "imap", context) as wire:
        assert wire.imap("a LOGIN {10}").startswith("+")
        assert wire.imap("back\\slash {6}", tag="a").startswith("+")
        assert wire.imap('quo"te', tag="a").startswith("a OK")


def test_imap_login_with_literals_that_do_not_wait(front, fakes, context):
    with reach(front, "imap", context) as wire:
        assert wire.imap('a LOGIN {10+}\r\nback\\slash {6+}\r\nquo"te').startswith("a OK")
    with reach(front, "imap", context) as wire:
        for octet in 'a LOGIN {5+}\r\nalice {5+}\r\nright\r\n':
            wire.send(octet)
        assert wire.imap(tag="a").startswith("a OK"), "octet by octet"


def test_the_tagged_ok_carries_the_capabilities_of_the_backend_filtered(launch_once, context):
    offered = "IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN AUTH=SCRAM-SHA-256 SASL-IR IDLE UIDPLUS MOVE"
    for in_ok in (True, False):
        with liars.Fake(liars.ImapStore(None, capability=offered, in_ok=in_ok)) as fake:
            front = launch_once(imap=fake.port)
            with reach(front, "imap", context) as wire:
                answer = wire.imap("a LOGIN alice right")
                assert "\n" not in answer, "untagged lines of the backend's login passed: %r" % answer
                assert answer.startswith("a OK [CAPABILITY "), answer
                words = answer[len("a OK [CAPABILITY "):answer.index("]")].split()
                assert words == ["IMAP4rev1", "IDLE", "UIDPLUS", "MOVE"]
                assert wire.imap("b X") == "b OK did b X"


@pytest.mark.parametrize("protocol, login, behind, answers", [
    ("imap", "a LOGIN alice right\r\n", "b ONE\r\nc TWO\r\n", ["a OK", "b OK did b ONE", "c OK did c TWO"]),
    ("pop3", "USER alice\r\nPASS right\r\n", "ONE\r\nTWO\r\n", ["+OK", "+OK", "+OK did ONE", "+OK did TWO"]),
])
def test_octets_behind_an_accepted_login_go_to_the_backend(front, context, protocol, login, behind, answers):
    with reach(front, protocol, context) as wire:
        wire.send(login + behind)
        for answer in answers:
            assert wire.line().startswith(answer)


def test_octets_behind_a_refused_login_are_commands_for_us(front, fakes, context):
    fakes["imap"].forget()
    with reach(front, "imap", context) as wire:
        wire.send("a LOGIN alice wrong\r\nb NOOP\r\nc LOGIN alice right\r\nd X\r\n")
        assert wire.imap(tag="a").startswith("a NO [AUTHENTICATIONFAILED]")
        assert wire.imap(tag="b").startswith("b OK")
        assert wire.imap(tag="c").startswith("c OK")
        assert wire.imap(tag="d") == "d OK did d X"
    assert b"NOOP" not in fakes["imap"].received()


def test_what_a_client_says_of_itself_before_login_goes_nowhere(front, fakes, context):
    fakes["imap"].forget()
    with reach(front, "imap", context) as wire:
        assert "a OK" in wire.imap('a ID ("name" "spy" "x-originating-ip" "192.0.2.99")')
        assert wire.imap("b LOGIN alice right").startswith("b OK")
    received = fakes["imap"].received()
    assert b"LOGIN" in received and b"192.0.2.99" not in received and b"spy" not in received


def test_each_line_of_a_session_begins_with_its_id(front, context):
    with reach(front, "imap", context) as wire:
        client = wire.address
        assert clients.log_in(wire, "imap", "alice", "wrong").startswith("l NO")
    front.wait_event("session_end", client=client)
    lines = [line for line in front.lines() if " client=%s " % client in line + " "]
    assert len(lines) >= 2
    assert all(re.match(r"session=[0-9a-f]{16} time=\S+Z level=\w+ event=\w+ protocol=imap ", line) for line in lines), lines
    assert len({line.split(" ")[0] for line in lines}) == 1


# ---- odd names and passwords, before the real stores

@pytest.mark.parametrize("user", sorted(ODD_USERS))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_odd_names_and_passwords_log_in_by_sasl(patient, context, protocol, user):
    with reach(patient, protocol, context) as wire:
        line = {"submission": "AUTH PLAIN ", "imap": "a AUTHENTICATE PLAIN ", "pop3": "AUTH PLAIN "}[protocol]
        answer = wire.reply(protocol, line + clients.plain(user, ODD_USERS[user]))
        assert answer.startswith({"submission": "235", "imap": "a OK", "pop3": "+OK"}[protocol]), answer
    with reach(patient, protocol, context) as other:
        answer = other.reply(protocol, line + clients.plain(user, ODD_USERS[user] + "x"))
        assert answer.startswith({"submission": "535", "imap": "a NO", "pop3": "-ERR [AUTH]"}[protocol]), answer


@pytest.mark.parametrize("user", sorted(ODD_USERS))
def test_odd_names_and_passwords_log_in_by_imap_literals(patient, context, user):
    name, password = user.encode(), ODD_USERS[user].encode()
    with reach(patient, "imap", context) as wire:
        wire.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(name), name, len(password), password))
        assert wire.imap(tag="a").split("\n")[-1].startswith("a OK")


@pytest.mark.parametrize("user", [name for name in sorted(ODD_USERS) if " " not in name])
def test_odd_passwords_log_in_by_pop3_pass(patient, context, user):
    with reach(patient, "pop3", context) as wire:
        assert wire.pop3("USER " + user.encode().decode("latin-1")).startswith("+OK")
        assert wire.pop3("PASS " + ODD_USERS[user].encode().decode("latin-1")).startswith("+OK")


LINE_BREAKS = ["x\r\nb DELETE INBOX", "x\r\nRSET", "x\nRSET", "x\rRSET", "right\r\n", "right\n"]


@pytest.mark.parametrize("password", LINE_BREAKS, ids=repr)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_line_break_in_a_password_never_becomes_a_second_command(front, fakes, context, protocol, password):
    fake = fakes[protocol]
    fake.forget()
    with reach(front, protocol, context) as wire:
        line = {"submission": "AUTH PLAIN ", "imap": "a AUTHENTICATE PLAIN ", "pop3": "AUTH PLAIN "}[protocol]
        answer = wire.reply(protocol, line + clients.plain("alice", password))
        assert answer.startswith({"submission": "535 5.7.8", "imap": "a NO", "pop3": "-ERR"}[protocol]), answer
        assert wire.reply(protocol, {"imap": "b NOOP"}.get(protocol, "NOOP"))[:4] in ("250 ", "b OK", "+OK", "+OK ")
    for talk in fake.conversations:
        if "login" in talk.notes:
            assert talk.notes["login"] == (b"alice", password.encode()), "the backend was shown something else"
        assert b"\nRSET" not in talk.received.replace(password.encode(), b"")
        assert not any(name == "DELETE" for name, _ in talk.notes.get("commands", []))


@pytest.mark.parametrize("user", ["x\r\nRSET", "alice\0", "a\x7fb", "\x01", "x" * 256], ids=repr)
def test_names_that_no_backend_should_see_are_refused_here(front, fakes, context, user):
    for protocol in PROTOCOLS:
        fakes[protocol].forget()
        with reach(front, protocol, context) as wire:
            line = {"submission": "AUTH PLAIN ", "imap": "a AUTHENTICATE PLAIN ", "pop3": "AUTH PLAIN "}[protocol]
            answer = wire.reply(protocol, line + clients.plain(user, "right"))
            assert answer.startswith({"submission": "5", "imap": ("a NO", "a BAD"), "pop3": "-ERR"}[protocol]), answer
        assert not fakes[protocol].conversations, "the backend was asked"


def test_no_name_can_forge_a_log_line(front, context):
    forged = 'x" level=error event=ready user="y\nsession=0 event=ready'
    with reach(front, "imap", context) as wire:
        name = forged.encode()
        wire.send(b"a LOGIN {%d+}\r\n%s x\r\n" % (len(name), name))
        assert wire.imap(tag="a").startswith("a NO")
    with reach(front, "imap", context) as wire:
        wire.send('b LOGIN "x\\" event=ready y=\\"z" wrong\r\n')
        assert wire.imap(tag="b").startswith("b NO")
    front.wait_event("auth_failed", user='x" event=ready y="z')
    assert len(front.events("ready")) == 1


def test_a_failure_is_not_put_to_the_name_of_an_earlier_attempt(front, context):
    with reach(front, "imap", context) as wire:
        client = wire.address
        assert wire.imap("a LOGIN alice wrong").startswith("a NO")
        assert wire.imap('b LOGIN "" right').startswith("b NO")
    front.wait_event("auth_failed", count=2, client=client)
    assert [event.get("user") for event in front.events("auth_failed", client=client)] == ["alice", None]


def test_empty_names_and_passwords_by_command(front, fakes, context):
    for protocol in ("imap", "pop3"):
        fakes[protocol].forget()
    with reach(front, "imap", context) as wire:
        assert wire.imap('a LOGIN "" right').startswith("a NO [AUTHENTICATIONFAILED]")
        assert wire.imap('b LOGIN alice ""').startswith("b NO [AUTHENTICATIONFAILED]")
    with reach(front, "pop3", context) as wire:
        assert wire.pop3("USER ").startswith("-ERR")
        assert wire.pop3("USER").startswith("-ERR")
    with reach(front, "pop3", context) as wire:
        assert wire.pop3("USER alice").startswith("+OK")
        assert wire.pop3("PASS ").startswith("-ERR")
    assert not fakes["imap"].conversations and not fakes["pop3"].conversations


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_password_as_long_as_can_be_passes_and_a_longer_one_is_refused(launch_once, context, protocol):
    """Up to what fits the SASL line; the backend gets it whole."""
    longest = "p" * 8000
    store = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol]
    with liars.Fake(store({b"alice": longest.encode()})) as fake:
        front = launch_once(limits=FAST, **{protocol: fake.port})
        line = {"submission": "AUTH PLAIN", "imap": "a AUTHENTICATE PLAIN", "pop3": "AUTH PLAIN"}[protocol]
        with reach(front, protocol, context) as wire:
            assert wire.reply(protocol, line).startswith(("334", "+"))
            wire.send(clients.plain("alice", longest) + "\r\n")
            answer = wire.imap(tag="a") if protocol == "imap" else wire.smtp() if protocol == "submission" else wire.pop3()
            assert answer.startswith({"submission": "235", "imap": "a OK", "pop3": "+OK"}[protocol]), answer
        with reach(front, protocol, context) as wire:
            assert wire.reply(protocol, line).startswith(("334", "+"))
            wire.try_send(clients.plain("alice", "p" * 20000) + "\r\n")
            assert wire.rest().startswith({"submission": "500", "imap": ("a BAD", "* BYE", "* BAD"), "pop3": "-ERR"}[protocol])
