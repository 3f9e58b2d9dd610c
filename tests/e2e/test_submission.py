"""Submission after login: what reaches the store, and what never does. The recording store is as gullible as they come."""
import contextlib
import socket
import time
import uuid

import pytest

from conftest import USERS
from support import clients, liars
from support.postern import Backend
from support.wait import wait_for

ENVELOPE = "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
EVIL = "MAIL FROM:<evil@example.test>\r\nRCPT TO:<victim@example.test>\r\nDATA\r\nevil\r\n.\r\n"


@pytest.fixture(scope="module")
def fake():
    with liars.Fake(None) as server:
        yield server


@pytest.fixture(scope="module")
def front(launch, fake):
    return launch(submission=Backend("submission", fake.port, extra='capabilities = ( "SIZE 50000000", "8BITMIME" );'))


@pytest.fixture
def store(fake):
    fake.forget()
    fake.script = liars.SubmissionStore(None)
    return fake.script


@pytest.fixture
def wire(front, store, context):
    with clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice", "x") as wire:
        yield wire


def begin_message(wire):
    wire.send(ENVELOPE)
    assert wire.smtp().startswith("250")
    assert wire.smtp().startswith("250")
    assert wire.smtp().startswith("354")


def assert_nothing_left(fake, store):
    """No whole message, and no command that came out of one."""
    fake.wait_ended()
    assert store.messages == []
    assert not any(b"evil" in line or b"victim" in line or b"XCLIENT" in line.upper() for line in store.commands)
    assert [line for line in store.commands if line.startswith((b"MAIL", b"RCPT", b"DATA"))] == [
        b"MAIL FROM:<alice@example.test>", b"RCPT TO:<bob@example.test>", b"DATA"]


# ---- messages that are fine

@pytest.mark.parametrize("text", [
    "Subject: x\r\n\r\nbody\r\n", "..\r\n", "\r\n", "a\r\n..\r\n..a\r\n", "x" * 100000 + "\r\n", "\r\n\r\n\r\n",
    "\x80\xff\r\n", "...\r\n.. \r\n",
], ids=lambda text: repr(text[:20]))
def test_a_message_arrives_octet_for_octet(wire, store, text):
    begin_message(wire)
    wire.send(text + ".\r\n")
    assert wire.smtp().startswith("250 2.0.0 taken")
    assert store.messages == [text.encode("latin-1")]
    assert wire.smtp("QUIT").startswith("221")
    wire.rest()
    assert wire.ending == "close_notify"


def test_a_message_octet_by_octet_is_the_same(wire, store):
    text = "Subject: x\r\n\r\n..\r\n.. .\r\nlast\r\n"
    begin_message(wire)
    for octet in text + ".\r\n":
        wire.send(octet)
    assert wire.smtp().startswith("250")
    assert store.messages == [text.encode()]


def test_an_empty_message_ends_at_once(wire, store):
    begin_message(wire)
    wire.send(".\r\n")
    assert wire.smtp().startswith("250 2.0.0 taken")


# ---- pipelining

def test_a_whole_transaction_in_one_packet_is_answered_in_order(wire, store):
    wire.send("RSET\r\n" + ENVELOPE + "one\r\n.\r\nNOOP\r\n" + ENVELOPE + "two\r\n.\r\nVRFY x\r\nQUIT\r\n")
    codes = [wire.smtp()[:3] for _ in range(12)]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "250", "354", "250", "250", "221"]
    assert store.messages == [b"one\r\n", b"two\r\n"]
    assert wire.rest() == "" and wire.ending == "close_notify"


def test_hundreds_of_pipelined_recipients_are_all_answered(wire, store):
    wire.send("MAIL FROM:<a@example.test>\r\n" + "".join("RCPT TO:<r%d@example.test>\r\n" % n for n in range(600)))
    for _ in range(601):
        assert wire.smtp().startswith("250")
    assert store.commands[-1] == b"RCPT TO:<r599@example.test>"


@pytest.mark.parametrize("count", [500, 560, 1000])
def test_hundreds_of_pipelined_refusals_are_all_heard(wire, store, count):
    """More of them than one record to the client holds: what waits for room is sent without another word of anyone."""
    wire.send("X\r\n" * count)
    for _ in range(count):
        assert wire.smtp().startswith("50")


def test_our_own_refusals_keep_their_place_among_the_replies(wire, store):
    wire.send("NOOP\r\nXCLIENT ADDR=192.0.2.1\r\nRSET\r\nETRN x\r\nNOOP\r\n")
    assert [wire.smtp()[0] for _ in range(5)] == ["2", "5", "2", "5", "2"]


# ---- what may pass

def test_commands_are_sent_on_in_canonical_form(wire, store):
    wire.smtp("rSeT")
    wire.smtp("mail from:<a@example.test> body=8bitmime")
    wire.smtp("nOOp")
    assert store.commands[0] == b"RSET"
    assert store.commands[1].startswith(b"MAIL ")
    assert store.commands[2] == b"NOOP"


@pytest.mark.parametrize("line", [
    "XCLIENT ADDR=192.0.2.1", "xclient NAME=x", "XFORWARD NAME=x", "AUTH PLAIN " + clients.plain("bob", "x"), "STARTTLS",
    "ETRN x", "BURL imap://x LAST", "TURN", "SEND FROM:<x@y>", "SAML FROM:<x@y>", "X", "GET / HTTP/1.0", " RSET", "\tRSET",
    "  MAIL FROM:<a@example.test>", "BDAT 0 LAST", "RSE\x01T", "NOOP \x00", "RSET\x00", "NOOP \x7f",
])
def test_what_is_not_on_the_list_never_reaches_the_store(wire, store, line):
    wire.send(line + "\r\n")
    answer = wire.smtp()
    assert answer[:3] in ("500", "502", "503", "501"), answer
    assert wire.smtp("NOOP still here").startswith("250")
    assert store.commands == [b"NOOP still here"]


@pytest.mark.parametrize("line", ["NOOP\nXCLIENT ADDR=192.0.2.1\r\n", "NOOP a\rRSET\r\n", "NOOP\r\r\n", "\nRSET\r\n", "NOOP \0\nRSET\r\n"],
                         ids=repr)
def test_a_bare_cr_or_lf_in_a_command_is_refused_whole(wire, fake, store, line):
    wire.send(line)
    assert wire.smtp().startswith("500 5.5.2")
    wire.try_send("QUIT\r\n")
    wire.rest()
    assert [command for command in store.commands if command != b"QUIT"] == []


def test_a_command_line_over_the_limit_is_refused(wire, store):
    wire.send("NOOP " + "x" * 3000 + "\r\n")
    assert wire.smtp().startswith("500 5.5.2")
    wire.try_send("QUIT\r\n")
    wire.rest()
    assert not any(b"xxx" in command for command in store.commands)


def test_bdat_is_refused_and_its_octets_are_no_commands(wire, store):
    wire.smtp("MAIL FROM:<a@example.test>")
    wire.smtp("RCPT TO:<b@example.test>")
    wire.send("BDAT %d LAST\r\n" % len(EVIL) + EVIL)
    assert wire.smtp().startswith("502")
    assert wire.smtp("RSET").startswith("250")
    assert not any(b"evil" in line for line in store.commands) and store.messages == []


@pytest.mark.parametrize("size", ["", "x", "-1", "99999999999999999999", "18446744073709551617", "0x10", "1 LAST extra"])
def test_a_bdat_without_a_sound_size_is_refused(wire, fake, store, size):
    wire.send("BDAT %s\r\n" % size)
    assert wire.smtp()[:3] in ("500", "501", "502")
    assert not any(b"BDAT" in line for line in store.commands)


def test_xclient_behind_a_refused_data_is_a_command_for_us(wire, fake, store):
    store.answers = {"DATA": "503 5.5.1 no recipients"}
    wire.send("DATA\r\nXCLIENT ADDR=192.0.2.1 LOGIN=root\r\nNOOP\r\n.\r\nQUIT\r\n")
    assert wire.smtp().startswith("503")
    assert wire.smtp()[:2] == "50"
    assert wire.smtp().startswith("250")
    assert wire.smtp()[:2] == "50"
    assert wire.smtp().startswith("221")
    assert store.commands == [b"DATA", b"NOOP", b"QUIT"]


def test_ehlo_after_login_shows_our_name_and_only_what_we_know(wire, fake, store):
    store.extensions = ("PIPELINING", "SIZE 1000", "8BITMIME", "XCLIENT NAME ADDR LOGIN", "CHUNKING", "ETRN", "BURL imap",
                        "STARTTLS", "AUTH=PLAIN", "VERP")
    lines = wire.smtp("EHLO again.example.test").split("\n")
    assert lines[0][4:].split(" ")[0] == "mail.example.test"
    words = {line[4:].split(" ")[0].split("=")[0].upper() for line in lines[1:]}
    assert {"SIZE", "8BITMIME"} <= words
    assert not words & {"XCLIENT", "CHUNKING", "ETRN", "BURL", "STARTTLS", "AUTH", "VERP"}, lines


def test_ehlo_before_login_is_our_list_and_that_of_the_pool(front, context):
    with clients.reach(front.port("submission", "implicit"), "submission", "implicit", context) as wire:
        lines = wire.smtp("EHLO c.example.test").split("\n")
        assert lines[0].startswith("250-mail.example.test")
        assert sorted(line[4:] for line in lines[1:]) == sorted(["PIPELINING", "SIZE 50000000", "8BITMIME", "AUTH PLAIN LOGIN"])


@pytest.mark.parametrize("name, code", [("client.example.test", "250"), ("[192.0.2.1]", "250"), ("[IPv6:2001:db8::1]", "250"),
                                        ("", "501 5.5.4"), ("a b", "501 5.5.4"), ("x" * 256, "501 5.5.4"), ("a\\b", "501 5.5.4")])
def test_the_name_in_ehlo_is_a_domain_or_an_address(front, context, name, code):
    with clients.Wire(front.port("submission", "implicit"), tls=context) as wire:
        wire.smtp()
        assert wire.smtp("EHLO " + name).startswith(code)


# ---- smuggling

BREAKS = ("\r\n", "\n", "\r", "\r\r\n", "\n\r")
ENDS = sorted({before + "." + behind for before in BREAKS for behind in BREAKS} - {"\r\n.\r\n"}) + [
    "\r\n\0.\r\n", "\r\n.\0\r\n", "\0", "\r\n.\r\0\n", "\n.\n.\r\n"]


@pytest.mark.parametrize("end", ENDS, ids=lambda text: text.encode().hex())
def test_no_other_end_of_a_message_exists(wire, fake, store, end):
    begin_message(wire)
    wire.send("Subject: x\r\n\r\nbody" + end + EVIL)
    assert wire.smtp().startswith("550 5.6.11")
    assert wire.smtp("NOOP").startswith("421 4.7.0"), "the login's secret is gone, so the session cannot go on"
    wire.rest()
    assert_nothing_left(fake, store)


@pytest.mark.parametrize("end", ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r\r\n", "\r\r\n.\r\n", "\0"], ids=repr)
def test_no_other_end_exists_octet_by_octet(wire, fake, store, end):
    begin_message(wire)
    for octet in "body" + end + EVIL:
        wire.try_send(octet)
    assert wire.smtp().startswith("550 5.6.11")
    wire.try_send("QUIT\r\n")
    assert wire.smtp()[:3] in ("221", "421")    # 421 where a real end came early and EVIL's first line was a command
    wire.rest()
    assert_nothing_left(fake, store)


@pytest.mark.parametrize("start", ["\n.\r\n", ".\n", ".\r", ".\r\r\n", "\r.\r\n"], ids=repr)
def test_a_false_end_right_behind_data_is_none(wire, fake, store, start):
    begin_message(wire)
    wire.send(start + EVIL)
    assert wire.smtp().startswith("550 5.6.11")
    assert wire.smtp("QUIT").startswith("221")
    wire.rest()
    assert_nothing_left(fake, store)


def test_the_real_store_gets_one_message_and_not_the_smuggled_one(real, dovecot, context):
    marker, evil = uuid.uuid4().hex, uuid.uuid4().hex
    with clients.enter(real.port("submission", "implicit"), "submission", "implicit", context, "alice", USERS["alice"]) as wire:
        begin_message(wire)
        wire.send("Subject: %s\r\n\r\nbody\n.\n" % marker + EVIL.replace("victim", "bob").replace("evil\r\n", evil + "\r\n"))
        assert wire.smtp().startswith("550 5.6.11")
        wire.smtp("QUIT")
    after = uuid.uuid4().hex
    with clients.enter(real.port("submission", "implicit"), "submission", "implicit", context, "alice", USERS["alice"]) as wire:
        begin_message(wire)
        wire.send("Subject: %s\r\n\r\nbody\r\n.\r\n" % after)
        assert wire.smtp().startswith("250")
    dovecot.wait_message("bob", after.encode())
    whole = b"".join(dovecot.messages("bob"))
    assert marker.encode() not in whole and evil.encode() not in whole


# ---- clients that go

@pytest.mark.parametrize("how", clients.WAYS_TO_GO)
@pytest.mark.parametrize("text", ["half a message", "Subject: x\r\n\r\nall but the dot\r\n", "all but the line end\r\n.",
                                  "all but the last octet\r\n.\r", "\r\n"], ids=repr)
def test_a_client_that_goes_in_mid_message_leaves_none(wire, fake, store, how, text):
    begin_message(wire)
    wire.send(text)
    how(wire)
    fake.wait_ended()
    assert store.messages == []


def test_a_client_that_goes_in_mid_message_leaves_none_in_the_real_store(real, dovecot, context):
    lost, after = uuid.uuid4().hex, uuid.uuid4().hex
    for how in clients.WAYS_TO_GO:
        wire = clients.enter(real.port("submission", "implicit"), "submission", "implicit", context, "alice", USERS["alice"])
        client = wire.address
        begin_message(wire)
        wire.send("Subject: %s\r\n\r\nbody\r\n" % lost)
        how(wire)
        real.wait_event("session_end", client=client)
    with clients.enter(real.port("submission", "implicit"), "submission", "implicit", context, "alice", USERS["alice"]) as wire:
        begin_message(wire)
        wire.send("Subject: %s\r\n\r\nbody\r\n.\r\n" % after)
        assert wire.smtp().startswith("250")
    dovecot.wait_message("bob", after.encode())
    assert not any(lost.encode() in text for text in dovecot.messages("bob"))


def test_a_store_that_refuses_the_message_is_heard(wire, fake, store):
    store.answers = {"RCPT": "550 5.1.1 who?"}
    assert wire.smtp("MAIL FROM:<a@example.test>").startswith("250")
    assert wire.smtp("RCPT TO:<b@example.test>") == "550 5.1.1 who?"


def test_a_store_that_closes_in_mid_message_costs_the_client_its_message_and_no_more(wire, fake, store):
    begin_message(wire)
    wire.send("half\r\n")
    fake.wait(lambda f: b"half" in f.received())
    fake.conversations[-1].close()
    wire.try_send("more\r\n.\r\n")
    answer = wire.rest()
    assert answer.startswith("421 4.3.2"), answer
    assert "250" not in answer


class MutteringStore(liars.SubmissionStore):
    """Begins a reply to nothing right after the login."""

    def log_in(self, talk, line):
        super().log_in(talk, line)
        talk.send("421 half a line")
        talk.rest()


def test_a_store_that_closes_while_our_last_words_wait_for_room(front, fake, context):
    """More refusals than one output holds, and the last words behind them: the store's end comes at every moment between."""
    fake.forget()
    fake.script = MutteringStore(None)
    for attempt in range(60):
        with clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice", "x") as wire:
            wire.send("FOO\r\n" * 541 + "X\n")
            time.sleep(attempt * 25e-6)
            with contextlib.suppress(OSError):    # the session may have ended by itself
                fake.conversations[-1].socket.shutdown(socket.SHUT_RDWR)
            wire.rest()
    assert not front.events("child_died")


def test_mail_before_login_is_refused(front, context, store):
    for mode in ("starttls", "implicit"):
        with clients.reach(front.port("submission", mode), "submission", mode, context) as wire:
            for line in ("MAIL FROM:<a@example.test>", "RCPT TO:<b@example.test>", "DATA", "BDAT 3 LAST"):
                assert wire.smtp(line).startswith("530 5.7.0"), line
    assert store.commands == []


def test_an_eight_bit_address_passes_to_the_store_as_it_is(wire, store):
    wire.send("MAIL FROM:<\u00fc@example.test>\r\n".encode())
    assert wire.smtp()
    wait_for(lambda: store.commands, "the command")
    assert store.commands[0].endswith("\u00fc@example.test>".encode())
