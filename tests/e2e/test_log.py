"""The log's formats and targets in real runs: every line one that its reader takes, and no daemon that is away or slow in the way
of a login."""
import json
import os
import signal
import stat

import pytest

from support import clients, liars
from support.log_daemons import SYSLOG, Journal, Syslog
from support.log_lines import unescape
from support.postern import Backend, Configuration, Listener, Postern
from support.wait import wait_for

HOSTILE = ['x" level=error event=ready user="y', "back\\slash", "\\x41", '{"event":"ready"}', "gr\u00fc\u00dfe", "two words", "a=b,c:d",
           "\u202eexe.txt", "\u0085next", "x\r\nevent=ready", "\x1b[2J", "\x7f", "n" * 250]


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


@pytest.fixture
def front(tmp_path, certificate, store):
    """make(log, ...): a Postern for IMAP with these settings of the log, not started."""
    made = []

    def make(log, **settings):
        folder = tmp_path / f"front{len(made)}"
        folder.mkdir()
        made.append(Postern(str(folder), Configuration(certificate, [Backend("imap", store.port)], log=log,
                                                       listeners=[Listener("imap", "implicit")],
                                                       limits="drain_timeout = 2; failure_delay_ms = 10; failure_delay_max_ms = 10; "
                                                              "max_auth_failures = 1000;", **settings)))
        return made[-1]
    yield make
    for one in made:
        one.kill()


@pytest.fixture
def short_path(tmp_path_factory):
    """A path for a socket, which may not be long."""
    folder = tmp_path_factory.mktemp("log")
    os.chmod(folder, 0o755)
    path = folder / "socket"
    assert len(str(path)) < 100
    return path


def reach(front, context):
    return clients.reach(front.port("imap", "implicit"), "imap", "implicit", context)


def session(front, context, user="alice", password="right"):
    """One login by its own connection; the fields of its end in the log."""
    with reach(front, context) as wire:
        client = wire.address
        answer = wire.imap("a AUTHENTICATE PLAIN " + clients.plain(user, password))
        assert answer.split("\n")[-1].startswith("a OK" if password == "right" else "a NO"), answer
    return client


# ---- JSON


def test_in_json_every_line_of_a_whole_life_is_an_object(front, context):
    one = front('format = "json"; level = "debug";').start()
    for user in HOSTILE:
        session(one, context, user, "wrong")
    one.wait_event("session_end", client=session(one, context))
    one.signal(signal.SIGUSR1)
    one.wait_event("log_reopened")
    one.stop()
    lines = [json.loads(line) for line in one.lines()]
    assert {"ready", "session_end", "auth_failed", "login", "stopping", "stopped", "child_ended"} <= {line["event"] for line in lines}
    for line in lines:
        assert list(line)[:1] == ["session"] if "session" in line else list(line)[:1] == ["time"]
        assert line["level"] in ("debug", "info", "warning", "error")
    failed = [unescape(line["user"]) for line in lines if line["event"] == "auth_failed" and "user" in line]
    shown = [user for user in HOSTILE if user in failed]
    assert len(shown) >= 8 and set(failed) <= set(HOSTILE), failed
    end = [line for line in lines if line["event"] == "session_end"][-1]
    assert end["user"] == "alice" and end["in"] > 0 and isinstance(end["seconds"], float), end
    assert len(one.events("ready")) == 1 and one.addresses


def test_both_formats_have_the_same_keys_in_the_same_order(front, context):
    keys = []
    for kind in ("logfmt", "json"):
        one = front(f'format = "{kind}"; level = "debug";').start()
        one.wait_event("session_end", client=session(one, context))
        one.stop()
        keys.append([list(event) for name in ("ready", "login", "session_end") for event in one.events(name)])
    assert keys[0] == keys[1] and len(keys[0]) == 3


# ---- syslog and the journal


def test_syslog_gets_every_line_from_the_process_that_says_it(front, context, short_path):
    one = front(f'target = "syslog:{short_path}"; level = "debug";')
    with Syslog(short_path, one.hear) as daemon:
        one.start()
        pids = {one.pid, *one.children()}
        session(one, context, password="wrong")
        one.wait_event("session_end", client=session(one, context))
        one.stop()
    senders = set()
    for pid, data in daemon.messages:
        priority, told, line = SYSLOG.fullmatch(data.decode()).groups()
        level = line.partition(" level=")[2].partition(" ")[0]
        assert int(priority) == 16 + {"debug": 7, "info": 6, "warning": 4, "error": 3}[level]
        assert int(told) == pid
        senders.add(pid)
    assert len(senders & pids) >= 2, "the supervisor and a worker"
    assert one.events("auth_failed", user="alice") and one.events("stopped")


def test_the_journal_gets_a_field_for_each_key(front, context, short_path):
    one = front(f'target = "journald:{short_path}"; format = "json";')
    with Journal(short_path, one.hear) as daemon:
        one.start()
        session(one, context, HOSTILE[0], "wrong")
        one.wait_event("session_end", client=session(one, context))
        one.stop()
    for pid, data in daemon.messages:
        fields = daemon.fields(data)
        assert fields["SYSLOG_IDENTIFIER"] == "postern" and fields["SYSLOG_FACILITY"] == "2" and fields["SYSLOG_PID"] == str(pid)
        line = json.loads(fields["MESSAGE"])
        assert {f"POSTERN_{key.upper()}" for key in line} == {key for key in fields if key.startswith("POSTERN_")}
        for key, value in line.items():
            if not isinstance(value, float):
                assert fields["POSTERN_" + key.upper()] == str(value)
        assert fields["PRIORITY"] == {"info": "6", "warning": "4"}[line["level"]]
    failed, = [fields for fields in map(daemon.fields, (data for _, data in daemon.messages)) if fields["POSTERN_EVENT"] == "auth_failed"]
    assert failed["POSTERN_USER"] == HOSTILE[0] and failed["PRIORITY"] == "4"


def test_sigusr1_opens_the_socket_anew(front, context, short_path):
    one = front(f'target = "syslog:{short_path}";')
    with Syslog(short_path, one.hear):
        one.start()
        one.signal(signal.SIGUSR1)
        one.wait_event("log_reopened", message=f"syslog:{short_path}")
        one.wait_event("session_end", client=session(one, context))
        one.stop()


def test_a_reload_moves_every_process_to_another_target_and_format(front, context, short_path):
    one = front('level = "info";').start()
    one.wait_event("session_end", client=session(one, context))
    with open(one.path, encoding="utf-8") as file:
        text = file.read()
    assert 'level = "info";' in text
    with Journal(short_path, one.hear) as daemon:
        one.configure(text.replace('level = "info";', f'target = "journald:{short_path}"; format = "json";'))
        one.signal(signal.SIGHUP)
        one.wait_event("reload", result="done")
        one.wait_event("session_end", client=session(one, context))
        events = [json.loads(daemon.line(data))["event"] for _, data in daemon.messages]
        assert events[:2] == ["log_reopened", "reload"] and events[-1] == "session_end", events
        one.configure(text.replace('level = "info";', f'target = "syslog:{short_path}.not";'))
        one.signal(signal.SIGHUP)
        assert one.wait_event("log_reopened", level="error")["message"].startswith(f"cannot open syslog:{short_path}.not")
        one.wait_event("reload", count=2, result="done")
        one.wait_event("session_end", client=session(one, context))
        one.stop()


@pytest.mark.parametrize("clean", [True, False], ids=["path_removed", "path_left"])
def test_a_daemon_that_restarts_is_found_again_and_nobody_waits_meanwhile(front, context, short_path, clean):
    one = front(f'target = "syslog:{short_path}";', workers=1)
    daemon = Syslog(short_path, one.hear).start()
    try:
        one.start()
        one.wait_event("certificate_expires")    # the last lines of the start
        one.wait_event("ticket_key")
        daemon.stop(leave_the_path=not clean)
        lost = [session(one, context) for _ in range(5)][:-1]    # the end of the last may be later
        daemon.start()
        one.wait_event("log_reopened")
        one.wait_event("session_end", client=session(one, context))
        assert not [client for client in lost if one.events("session_end", client=client)]
        assert len(lost) <= int(one.wait_event("log_lost")["lost"]) <= len(lost) + 1
        one.stop()
    finally:
        daemon.stop()


def test_a_daemon_that_is_not_there_at_the_start_is_named(front, short_path):
    one = front(f'target = "journald:{short_path}";').launch()
    wait_for(lambda: one.status is not None, "the end")
    wait_for(lambda: str(short_path) in one.log(), "the message")
    assert one.status == 73


def test_a_log_that_cannot_be_opened_again_is_told_in_the_one_before(front, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log"
    one = front(f'target = "{path}";').launch()
    wait_for(lambda: path.exists() and "event=ready" in path.read_text(encoding="utf-8"), "ready in the file")
    folder.rename(tmp_path / "moved")
    one.signal(signal.SIGUSR1)
    moved = tmp_path / "moved" / "log"
    wait_for(lambda: "event=log_reopened" in moved.read_text(encoding="utf-8"), "the error in the old file")
    for line in moved.read_text(encoding="utf-8").splitlines():
        one.hear(line)
    assert one.wait_event("log_reopened", level="error")["message"].startswith(f"cannot open {path}")
    one.stop()


# ---- stderr


def test_stderr_that_systemd_reads_has_levels_in_front(front, context, monkeypatch):
    wrapper = 'sh -c \'export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec "$@"\' sh '
    monkeypatch.setenv("POSTERN_WRAPPER", wrapper + os.environ.get("POSTERN_WRAPPER", ""))
    one = front('level = "info";').start()
    one.wait_event("session_end", client=session(one, context))
    session(one, context, password="wrong")
    one.wait_event("auth_failed")
    one.stop()
    assert all(line[:3] == {"info": "<6>", "warning": "<4>"}[line.partition(" level=")[2].partition(" ")[0]] for line in one.lines())


def test_stderr_of_anybody_else_has_none(front, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    one = front('level = "info";').start()
    one.stop()
    assert all(line.startswith("time=") for line in one.lines())


def test_a_file_is_for_its_group_only_in_json_too(front, tmp_path):
    path = tmp_path / "log"
    one = front(f'target = "{path}"; format = "json";').launch()
    wait_for(lambda: path.exists() and '"event":"ready"' in path.read_text(encoding="utf-8"), "ready in the file")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    one.stop()
    events = [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert events[-1] == "stopped" and "ready" in events
