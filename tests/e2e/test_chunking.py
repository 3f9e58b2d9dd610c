"""BDAT after login, to a store with CHUNKING and to one without: octets counted exactly, and no message that its client did not complete."""
import signal
import uuid

import pytest

from conftest import USERS
from support import clients, liars
from support.postern import Backend

CAPABILITIES = '"SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"'
ENVELOPE = "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
EVIL = "\r\n.\r\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<victim@example.test>\r\nDATA\r\nevil\r\n.\r\n"
KINDS = {"passed": ("PIPELINING", "SIZE 50000000", "8BITMIME", "CHUNKING"), "converted": ("PIPELINING", "SIZE 50000000")}


@pytest.fixture(scope="module")
def fake():
    with liars.Fake(None) as server:
        yield server


def start(launch, port, **settings):
    return launch(submission=Backend("submission", port, extra="capabilities = ( %s );" % CAPABILITIES), **settings)


@pytest.fixture(scope="module")
def front(launch, fake):
    return start(launch, fake.port)


@pytest.fixture(params=KINDS)
def store(fake, request):
    fake.forget()
    fake.script = liars.SubmissionStore(None, extensions=KINDS[request.param])
    fake.script.kind = request.param
    return fake.script


def enter(front, context):
    return clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice", "x")


@pytest.fixture
def wire(front, store, context):
    with enter(front, context) as wire:
        yield wire


def answers(wire, *codes):
    for code in codes:
        answer = wire.smtp()
        assert answer.startswith(code), (answer, code)


def verbs(store):
    return [command.split(b" ")[0] for command in store.commands]


# ---- messages that are fine

def test_chunking_is_shown_before_login_and_again_where_the_store_has_it(front, wire, store, context):
    with clients.reach(front.port("submission", "implicit"), "submission", "implicit", context) as other:
        assert "250-CHUNKING" in other.smtp("EHLO c.example.test").replace("250 ", "250-").split("\n")
    shown = wire.smtp("EHLO c.example.test").replace("250 ", "250-").split("\n")
    assert ("250-CHUNKING" in shown) == (store.kind == "passed")


def test_every_chunk_is_answered_and_the_message_is_whole(wire, store):
    wire.send(ENVELOPE + "BDAT 13\r\nSubject: x\r\n\rBDAT 0\r\nbdat 007\r\n\n.dot\r\nBDAT 4 last\r\n..\r\nRSET\r\n")
    answers(wire, *["250"] * 7)
    text = b"Subject: x\r\n\r\n.dot\r\n..\r\n"
    assert store.messages == [text if store.kind == "passed" else text.replace(b"\r\n.", b"\r\n..")]
    assert verbs(store) == ([b"MAIL", b"RCPT", b"BDAT", b"BDAT", b"BDAT", b"BDAT", b"RSET"] if store.kind == "passed"
                            else [b"MAIL", b"RCPT", b"DATA", b"RSET"])


def test_words_of_commands_in_a_chunk_are_no_commands(wire, store):
    wire.send(ENVELOPE + "BDAT %d LAST\r\n" % len(EVIL) + EVIL + "NOOP done\r\n")
    answers(wire, *["250"] * 4)
    assert len(store.messages) == 1 and b"evil" in store.messages[0]
    assert verbs(store)[-1] == b"NOOP" and len(verbs(store)) == 4


def test_several_megabytes_in_one_chunk(wire, store):
    text = ("." + "x" * 76 + "\r\n") * 50000
    wire.send(ENVELOPE + "BDAT %d LAST\r\n" % len(text))
    wire.send(text)
    answers(wire, *["250"] * 3)
    assert len(store.messages[0]) == len(text) + (50000 if store.kind == "converted" else 0)


# ---- what is refused

@pytest.mark.parametrize("store", ["converted"], indirect=True)
def test_a_refused_data_refuses_the_chunks_and_swallows_them(wire, store):
    store.answers = {"DATA": "554 5.5.1 no valid recipients", "RCPT": "550 5.1.1 who?"}
    wire.send(ENVELOPE + "BDAT %d\r\n" % len(EVIL) + EVIL + "BDAT %d LAST\r\n" % len(EVIL) + EVIL + "RSET\r\n")
    answers(wire, "250", "550 5.1.1", "554 5.5.1", "503 5.5.1", "250")
    assert verbs(store) == [b"MAIL", b"RCPT", b"DATA", b"RSET"]


def test_data_and_bdat_do_not_mix(wire, store):
    wire.send(ENVELOPE + "BDAT 3\r\na\r\nDATA\r\nMAIL FROM:<>\r\nBDAT 0 LAST\r\n")
    answers(wire, "250", "250", "250", "503 5.5.1", "503 5.5.1", "250")
    assert store.messages == [b"a\r\n"]


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\r\n.\n", "\r"], ids=repr)
def test_a_bad_byte_is_refused_and_nothing_is_left(wire, fake, store, bad):
    wire.send(ENVELOPE + "BDAT 4\r\nabc\rBDAT %d LAST\r\n" % (len(bad) + 1) + "\n" + bad)
    answers(wire, "250", "250", "250", "550 5.6.11")
    assert wire.smtp("MAIL FROM:<a@example.test>").startswith("421 4.7.0")
    wire.rest()
    fake.wait_ended()
    assert store.messages == []


def test_rset_between_chunks_forgets_them(wire, fake, store):
    wire.send(ENVELOPE + "BDAT 6\r\nlost\r\nRSET\r\n")
    answers(wire, *["250"] * 4)
    if store.kind == "passed":
        wire.send(ENVELOPE + "BDAT 6 LAST\r\nkept\r\n")
        answers(wire, *["250"] * 3)
        assert store.messages == [b"kept\r\n"]
        return
    assert wire.smtp("NOOP").startswith("421 4.7.0")
    fake.wait_ended()
    assert store.messages == []


# ---- clients that go, and a server that stops

@pytest.mark.parametrize("how", clients.WAYS_TO_GO)
@pytest.mark.parametrize("text", ["BDAT 10 LAST\r\n123456789", "BDAT 10 LAST\r\n", "BDAT 3\r\n123", "BDAT 3\r\n123BDAT 0 LAST\r",
                                  "BDAT 3\r\n123BDAT 0 LAS"], ids=repr)
def test_a_client_that_goes_before_the_last_octet_leaves_no_message(front, store, fake, context, how, text):
    with enter(front, context) as wire:
        wire.send(ENVELOPE)
        answers(wire, "250", "250")
        wire.send(text)
        if "BDAT 3" in text:
            answers(wire, "250")
        how(wire)
    fake.wait_ended()
    assert store.messages == []


def test_what_was_said_whole_before_an_orderly_end_is_carried_out(front, store, fake, context):
    text = ".\r\n" * 20000
    with enter(front, context) as wire:
        wire.send(ENVELOPE + "BDAT %d\r\n" % len(text) + text + "BDAT 0 LAST\r\n")
        clients.go_with_close_notify(wire)
    fake.wait_ended()
    assert [len(message) for message in store.messages] == [len(text) + (20000 if store.kind == "converted" else 0)]


def test_the_drain_deadline_cuts_a_message_in_chunks(launch_once, store, fake, context):
    front = start(launch_once, fake.port, limits={"drain_timeout": 1})
    with enter(front, context) as wire:
        wire.send(ENVELOPE + "BDAT 3\r\n123")
        answers(wire, "250", "250", "250")
        front.signal(signal.SIGTERM)
        assert wire.rest().startswith("421 4.3.2")
    fake.wait_ended()
    assert store.messages == []


def test_an_idle_client_in_mid_chunk_is_cut(launch_once, store, fake, context):
    front = start(launch_once, fake.port, limits={"idle_timeout": 1})
    with enter(front, context) as wire:
        wire.send(ENVELOPE + "BDAT 6 LAST\r\n12345")
        assert wire.rest().endswith("421 4.4.2 Idle for too long\r\n")
    fake.wait_ended()
    assert store.messages == []


# ---- parameters

@pytest.mark.parametrize("store", ["converted"], indirect=True)
def test_parameters_are_repaired_for_a_store_that_knows_none(wire, store):
    store_knows = wire.smtp("MAIL FROM:<a@example.test> SIZE=100 BODY=8BITMIME AUTH=root")
    assert store_knows.startswith("250")
    assert store.commands == [b"MAIL FROM:<a@example.test> SIZE=100 AUTH=<>"]
    for line, code in (("RCPT TO:<b@example.test> NOTIFY=NEVER", "555 5.5.4"), ("RCPT TO:<b@example.test> NOTIFY=X", "501 5.5.4"),
                       ("MAIL FROM:<a@example.test> SMTPUTF8", "555 5.5.4"), ("MAIL FROM:<a@example.test> RET=FULL", "555 5.5.4"),
                       ("MAIL FROM:<a@example.test> SIZE=50000001", "552 5.3.4"), ("MAIL FROM:<a@example.test> SIZE=1e3", "501 5.5.4"),
                       ("MAIL FROM:<a@example.test> BODY=BINARYMIME", "555 5.6.1"), ("MAIL FROM:<a@example.test> X=1", "555 5.5.4"),
                       ("MAIL FROM:<a\"> SIZE=1 \"b>", "501 5.5.4"), ("RCPT TO:<a b@example.test>", "501 5.5.4")):
        assert wire.smtp(line).startswith(code), line
    assert len(store.commands) == 1


# ---- the real store

def test_the_real_store_takes_chunks(launch, dovecot, postfix, context):
    front = start(launch, postfix.port)
    marker = uuid.uuid4().hex
    text = "From: <alice@example.test>\r\nSubject: %s\r\n\r\n.dot\r\n" % marker
    with clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice", USERS["alice"]) as wire:
        wire.send(ENVELOPE + "BDAT 10\r\n%sBDAT %d LAST\r\n%s" % (text[:10], len(text) - 10, text[10:]))
        answers(wire, *["250"] * 4)
        wire.send(ENVELOPE.replace("bob@example.test", "bob@elsewhere.test"))
        answers(wire, "250", "5")
        wire.send("BDAT %d LAST\r\n" % len(EVIL) + EVIL)
        assert wire.smtp().startswith("5")
        assert wire.smtp("RSET").startswith("250")
    assert b"\n.dot" in dovecot.wait_message("bob", marker.encode())
    assert not any(b"evil@" in message for message in dovecot.messages("bob"))
