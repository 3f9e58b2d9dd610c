"""Round trips counted without a clock: stores that answer nothing until all that may be pipelined has come, and one that takes one
command at a time."""
import pytest

from support import clients, liars
from support.postern import Backend

RECIPIENTS = 50
GROUP = "MAIL FROM:<a@example.test>\r\n" + "".join("RCPT TO:<r%d@example.test>\r\n" % n for n in range(RECIPIENTS))
ABLE = ("PIPELINING", "SIZE 50000000", "CHUNKING")


@pytest.fixture(scope="module")
def fake():
    with liars.Fake(None) as server:
        yield server


@pytest.fixture(scope="module")
def front(launch, fake):
    return launch(submission=Backend("submission", fake.port, extra='capabilities = ( "SIZE 50000000", "CHUNKING" );'))


def enter(front, context):
    return clients.enter(front.port("submission", "implicit"), "submission", "implicit", context, "alice", "x")


def expect(wire, *codes):
    for code in codes:
        answer = wire.smtp()
        assert answer.startswith(code), (answer, code)


@pytest.mark.parametrize("octet_by_octet", (False, True))
def test_mail_fifty_recipients_and_data_wait_once(front, fake, context, octet_by_octet):
    fake.forget()
    fake.script = store = liars.PatientStore(RECIPIENTS + 2, extensions=ABLE)
    with enter(front, context) as wire:
        for piece in (GROUP + "DATA\r\n" if octet_by_octet else [GROUP + "DATA\r\n"]):
            wire.send(piece)
        expect(wire, *["250"] * (RECIPIENTS + 1), "354")
        assert store.seen == (GROUP + "DATA\r\n").encode()
        wire.send("text\r\n.\r\n")
        expect(wire, "250")
    assert store.messages == [b"text\r\n"]


def test_a_whole_message_by_bdat_waits_once(front, fake, context):
    fake.forget()
    text = GROUP + "BDAT 6\r\none\r\n\rBDAT 6 LAST\r\n\ntwo\r\nRSET\r\nNOOP\r\n"
    fake.script = store = liars.PatientStore(text.count("\r\n"), extensions=ABLE)
    with enter(front, context) as wire:
        wire.send(text)
        expect(wire, *["250"] * (RECIPIENTS + 5))
    assert store.seen == text.encode()
    assert store.messages == [b"one\r\n\r\ntwo\r\n"]


def test_a_store_without_pipelining_gets_one_command_at_a_time(front, fake, context):
    fake.forget()
    fake.script = store = liars.SlowWitnessStore(answers={"HELP": "214-one\r\n214 two", "VRFY": "252 perhaps"})
    with enter(front, context) as wire:
        wire.send(GROUP + "XCLIENT a=b\r\nHELP\r\nDATA\r\ntext\r\n.\r\nNOOP\r\n" + GROUP + "BDAT 5\r\nmore\nBDAT 1 LAST\r\n"
                  .replace("more\n", "more.") + "!VRFY x\r\nQUIT\r\n")
        expect(wire, *["250"] * (RECIPIENTS + 1), "502", "214-one", "354", "250", "250", *["250"] * (RECIPIENTS + 1), "250", "250",
               "252", "221")
    fake.wait_ended()
    assert store.early == []
    assert store.messages == [b"text\r\n", b"more.!\r\n"]
