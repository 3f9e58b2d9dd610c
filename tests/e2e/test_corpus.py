"""Random mails by DATA and BDAT, pipelined and not, to servers with and without CHUNKING and PIPELINING: all arrive unchanged."""
import contextlib

import pytest

from support import corpus, stores

COUNT = 40
LARGEST = 1 << 18


@pytest.fixture(scope="module")
def dovecot():
    with stores.Dovecot(users={corpus.USER: corpus.PASSWORD}) as server:
        yield server


def test_every_mail_of_a_random_corpus_arrives_unchanged(launch, dovecot, context):
    with contextlib.ExitStack() as stack:
        for kind in corpus.kinds(stack, dovecot):
            front = launch(submission=kind.backend(), workers=1)
            messages = [corpus.message_for(kind, number, LARGEST) for number in range(COUNT)]
            corpus.submit(front.port("submission", "implicit"), context, messages)
            kind.mailbox.wait(COUNT, 60)
            assert kind.mailbox.differences(messages) == [], kind.name
            assert kind.mailbox.faults == []
