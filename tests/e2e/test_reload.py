"""SIGHUP: a new configuration in place of the old one, while sessions go on and nobody is turned away."""
import contextlib
import os
import re
import signal
import socket
import ssl

import pytest

from support import certificates, clients, liars, ports
from support.postern import Backend, Configuration, Listener, Postern
from support.wait import wait_for

IMAP = Listener("imap", "implicit")


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


@pytest.fixture(scope="module")
def other_store():
    with liars.Fake(liars.ImapStore({b"alice": b"other"})) as fake:
        yield fake


class House:
    """A Postern and the configuration that it was given last."""

    def __init__(self, folder, store, **settings):
        self.settings = {"backends": [Backend("imap", store.port)], "listeners": [IMAP],
                         "limits": "drain_timeout = 2; failure_delay_ms = 10;", **settings}
        self.front = Postern(str(folder), Configuration(**self.settings))

    def text(self, **changes):
        self.settings.update(changes)
        return Configuration(**self.settings).text()

    def hup(self, text):
        """Writes it and asks for it; the event that ends the reload."""
        before = len(self.results())
        self.front.configure(text)
        self.front.signal(signal.SIGHUP)
        wait_for(lambda: len(self.results()) > before, lambda: "the end of a reload\n" + self.front.log())
        return self.results()[-1]

    def results(self):
        return [event for event in self.front.events("reload") if "result" in event or "failed; " in event.get("message", "")]

    def reload(self, **changes):
        result = self.hup(self.text(**changes))
        assert result.get("result") == "done", self.front.log()
        self.front.listeners = self.settings["listeners"]
        return result


@pytest.fixture
def house(tmp_path, certificate, store):
    made = []

    def make(**settings):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(House(folder, store, **{"certificate": certificate, **settings}))
        made[-1].front.start()
        return made[-1]
    yield make
    for one in made:
        one.front.kill()


def enter(port, context, password="right"):
    """A session that has logged in; closed by the caller."""
    wire = clients.reach(port, "imap", "implicit", context)
    assert clients.log_in(wire, "imap", "alice", password).startswith(clients.ACCEPTED["imap"])
    return wire


def works(wire):
    return wire.imap("x NOOP").split("\n")[-1].startswith("x OK")


def leaf(port, context):
    """The certificate that is shown there."""
    with clients.reach(port, "imap", "implicit", context) as wire:
        return wire.socket.getpeercert(True)


def listening(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def children(front):
    """Those that last: not the checker, which may be on its way out."""
    return sorted(pid for kind in ("worker", "auth", "keeper", "monitor") for pid in front.children(kind))


def test_a_new_certificate_is_shown_and_old_sessions_go_on(house, authority, context, tmp_path):
    one = house()
    port = one.front.port("imap", "implicit")
    before, processes = leaf(port, context), children(one.front)
    with enter(port, context) as old:
        fresh = certificates.make_certificate(str(tmp_path / "fresh"), authority, ("localhost", "127.0.0.1"))
        result = one.reload(certificate=fresh)
        assert (result["generation"], result["level"]) == ("2", "info")
        with open(fresh.chain, encoding="ascii") as file:
            assert leaf(port, context) == ssl.PEM_cert_to_DER_cert(file.read()) != before
        assert works(old)
    assert children(one.front) == processes
    one.front.stop()


def test_a_certificate_renewed_under_the_same_name_is_read_again(house, authority, context, tmp_path):
    first = certificates.make_certificate(str(tmp_path / "live"), authority, ("localhost", "127.0.0.1"))
    one = house(certificate=first)
    port = one.front.port("imap", "implicit")
    before = leaf(port, context)
    second = certificates.make_certificate(str(tmp_path / "next"), authority, ("localhost", "127.0.0.1"))
    os.replace(second.chain, first.chain)
    os.replace(second.key, first.key)
    one.reload()
    assert leaf(port, context) != before
    one.front.stop()


def test_listeners_come_and_go_while_their_sessions_stay(house, context):
    second = Listener("imap", "starttls")
    one = house(listeners=[IMAP, second])
    kept, going = (port for _, port in one.front.addresses)
    coming = ports.free_port()
    with clients.reach(going, "imap", "starttls", context) as old:
        assert clients.log_in(old, "imap", "alice", "right").startswith(clients.ACCEPTED["imap"])
        one.reload(listeners=[Listener("imap", "implicit", "127.0.0.1", coming), IMAP])
        enter(coming, context).close()
        enter(kept, context).close()
        with pytest.raises(ConnectionRefusedError):
            clients.reach(going, "imap", "starttls", context)
        assert works(old)
    with enter(coming, context) as late:
        one.reload(listeners=[IMAP])
        with pytest.raises(ConnectionRefusedError):
            enter(coming, context)
        assert works(late)
    one.front.stop()


def test_an_address_may_change_its_protocol_of_tls(house, context):
    one = house()
    port = one.front.port("imap", "implicit")
    one.reload(listeners=[Listener("imap", "starttls")])
    with clients.reach(port, "imap", "starttls", context) as wire:
        assert clients.log_in(wire, "imap", "alice", "right").startswith(clients.ACCEPTED["imap"])
    one.front.stop()


def test_new_logins_go_to_the_new_store_and_old_sessions_stay_at_theirs(house, context, other_store):
    one = house()
    port = one.front.port("imap", "implicit")
    with enter(port, context) as old:
        one.reload(backends=[Backend("imap", other_store.port, name="other")])
        with enter(port, context, "other") as new:
            assert works(new) and works(old)
    one.front.wait_event("session_end", count=2)
    assert {event["backend"].split("/")[0] for event in one.front.events("session_end")} == {"old-imap", "other"}
    one.front.stop()


def test_a_session_before_its_login_keeps_the_limits_it_began_with(house, context):
    one = house(limits="max_auth_failures = 1; failure_delay_ms = 0; drain_timeout = 2;")
    port = one.front.port("imap", "implicit")
    with clients.reach(port, "imap", "implicit", context) as old:
        one.reload(limits="max_auth_failures = 2; failure_delay_ms = 0; drain_timeout = 2;")
        with clients.reach(port, "imap", "implicit", context) as new:
            for wire in (old, new):
                assert "AUTHENTICATIONFAILED" in clients.log_in(wire, "imap", "alice", "wrong")
            assert works(new)
            assert "BYE" in old.rest()
    one.front.stop()


def broken(one, authority, tmp_path):
    """Configurations that are refused, each with what the log says and the line of the fault."""
    good = one.text()
    strange = certificates.make_certificate(str(tmp_path / "strange"), authority, ("localhost",))

    def line(text, part):
        return next(number for number, row in enumerate(text.split("\n"), 1) if part in row)
    unknown = good + "nonsense = 1;\n"
    syntax = good.replace("listeners = (", "listeners = ((")
    misfit = re.sub(r'key = "[^"]*"', f'key = "{strange.key}"', good)
    with_listener = one.text(listeners=[IMAP, Listener("imap", "starttls", "203.0.113.9", 1143)])
    one.text(listeners=[IMAP])
    return [(unknown, "nonsense", line(unknown, "nonsense")), (syntax, "syntax error", None),
            (misfit, "", line(misfit, "key =")), (with_listener, "203.0.113.9:1143", line(with_listener, "203.0.113.9"))]


def test_a_broken_configuration_changes_nothing_and_is_told_with_file_and_line(house, authority, context, tmp_path):
    one = house()
    port, processes = one.front.port("imap", "implicit"), children(one.front)
    with enter(port, context) as old:
        for text, words, line in broken(one, authority, tmp_path):
            seen = len(one.front.events("reload"))
            result = one.hup(text)
            assert result["level"] == "error" and "generation 1 stays" in result["message"]
            faults = [event for event in one.front.events("reload")[seen:] if "error" in event]
            assert faults and all(event["file"] == one.front.path for event in faults), one.front.log()
            assert any(words in event["error"] for event in faults)
            assert line is None or str(line) in {event["line"] for event in faults}
            enter(port, context).close()
        assert works(old)
    assert children(one.front) == processes
    assert one.reload()["generation"] == "2"
    one.front.stop()


def test_what_needs_a_restart_is_named_and_the_rest_is_taken(house, context, tmp_path):
    one = house(workers=1, hostname="one.example.test")
    port = one.front.port("imap", "implicit")
    result = one.reload(workers=2, hostname="two.example.test", top=f'pid_file = "{tmp_path}/pid";')
    assert result["level"] == "warning"
    assert sorted(result["needs_restart"].split(", ")) == ["pid_file", "workers"]
    assert len(one.front.children("worker")) == 1 and not (tmp_path / "pid").exists()
    enter(port, context).close()
    assert "needs_restart" not in one.reload(workers=1, top="")
    one.front.stop()


def test_requests_that_come_while_one_is_at_work_become_one_more(house, context):
    one = house()
    for _ in range(20):
        one.front.signal(signal.SIGHUP)
    wait_for(lambda: one.results(), "a reload")
    enter(one.front.port("imap", "implicit"), context).close()
    assert one.reload()["result"] == "done"
    assert all(event.get("result") == "done" for event in one.results()) and len(one.results()) <= 21
    one.front.stop()


def test_a_worker_that_does_not_answer_is_replaced(house, context):
    one = house(workers=2)
    sleeper = one.front.children("worker")[0]
    os.kill(sleeper, signal.SIGSTOP)
    one.front.signal(signal.SIGHUP)
    died = one.front.wait_event("child_died")
    assert (died["pid"], died["signal"]) == (str(sleeper), "9")
    wait_for(one.results, "the reload")
    assert one.results()[-1]["result"] == "done"
    assert len(one.front.children("worker")) == 2
    for _ in range(8):
        enter(one.front.port("imap", "implicit"), context).close()
    one.front.stop()


def test_a_worker_that_dies_after_a_reload_gets_the_new_configuration(house, authority, context, tmp_path):
    one = house(workers=1)
    port = one.front.port("imap", "implicit")
    fresh = certificates.make_certificate(str(tmp_path / "fresh"), authority, ("localhost", "127.0.0.1"))
    one.reload(certificate=fresh)
    shown = leaf(port, context)
    os.kill(one.front.children("worker")[0], signal.SIGKILL)
    one.front.wait_event("child_started")
    assert leaf(port, context) == shown
    one.front.stop()


def test_authentication_processes_follow_their_bounds(house, context):
    auth = 'source = "backend"; processes: { min = %d; max = %d; };'
    one = house(auth=auth % (1, 1))
    assert len(one.front.children("auth")) == 1
    one.reload(auth=auth % (4, 4))
    wait_for(lambda: len(one.front.children("auth")) == 4, "four of them")
    one.reload(auth=auth % (1, 2))
    wait_for(lambda: len(one.front.children("auth")) == 2, "two of them")
    enter(one.front.port("imap", "implicit"), context).close()
    assert not one.front.events("child_died")
    one.front.stop()


def test_a_stop_in_the_middle_of_a_reload_closes_the_listeners_at_once(house, context):
    one = house(workers=2)
    port, coming = one.front.port("imap", "implicit"), ports.free_port()
    with enter(port, context) as old:
        os.kill(one.front.children("auth")[0], signal.SIGSTOP)
        one.front.configure(one.text(listeners=[IMAP, Listener("imap", "implicit", "127.0.0.1", coming)]))
        one.front.signal(signal.SIGHUP)
        wait_for(lambda: listening(coming), "the new listener to be bound")
        one.front.signal(signal.SIGTERM)
        one.front.wait_event("stopping")
        wait_for(lambda: not listening(port) and not listening(coming), "both to be closed", deadline=1.5)
        assert works(old)
    wait_for(lambda: one.front.status is not None, "its end")
    assert one.front.status == 0 and not one.results()


def test_all_who_wait_on_a_listener_that_goes_are_served(house):
    second = Listener("imap", "starttls")
    one = house(listeners=[IMAP, second], workers=1, limits="drain_timeout = 1; max_sessions_per_address = 2000;")
    going, coming, worker = one.front.addresses[1][1], ports.free_port(), one.front.children("worker")[0]
    with contextlib.ExitStack() as open_ones:
        os.kill(worker, signal.SIGSTOP)
        waiting = [open_ones.enter_context(socket.create_connection(("127.0.0.1", going), 20)) for _ in range(1000)]
        one.front.configure(one.text(listeners=[IMAP, Listener("imap", "implicit", "127.0.0.1", coming)]))
        one.front.signal(signal.SIGHUP)
        wait_for(lambda: listening(coming), "the workers to be asked")
        os.kill(worker, signal.SIGCONT)
        greeted = [wire.recv(4) for wire in waiting]
        assert greeted == [b"* OK"] * len(waiting)
    one.front.stop()


def test_a_process_that_starts_while_another_retires_is_not_led_to_it(house, context):
    auth = 'source = "backend"; processes: { min = %d; max = %d; };'
    one = house(auth=auth % (2, 2), limits="drain_timeout = 2; max_sessions_per_address = 100;")
    port = one.front.port("imap", "implicit")
    with contextlib.ExitStack() as open_ones:
        waiting = [open_ones.enter_context(clients.reach(port, "imap", "implicit", context)) for _ in range(40)]
        for wire in waiting:    # at once: each worker begins exchanges with each process
            wire.send("a AUTHENTICATE LOGIN\r\n")
        assert all(wire.line().startswith("+") for wire in waiting)
        one.reload(auth=auth % (1, 1))
        assert len(one.front.children("auth")) == 2    # one retires
        os.kill(one.front.children("worker")[0], signal.SIGKILL)
        one.front.wait_event("child_started", kind="worker")
        assert len(one.front.children("auth")) == 2    # it has exchanges of the other worker
    wait_for(lambda: len(one.front.children("auth")) == 1, "the end of the one that has nothing to do any more")
    enter(port, context).close()
    one.front.stop()


def test_a_reload_finds_descriptors_for_its_listeners_however_many_sessions_there_are(house, context, monkeypatch):
    monkeypatch.setenv("POSTERN_WRAPPER", "prlimit --nofile=270:270 " + os.environ.get("POSTERN_WRAPPER", ""))
    one = house(listeners=[IMAP] + [Listener("imap", "starttls")] * 63, workers=1, auth='source = "backend"; processes: { max = 2; };',
                limits="drain_timeout = 1; max_sessions_per_address = 2000;")
    port, worker = one.front.port("imap", "implicit"), one.front.children("worker")[0]
    with contextlib.ExitStack() as open_ones:
        wires = []
        with contextlib.suppress(OSError):    # until the next one has to wait
            while len(wires) < 150:
                wires.append(open_ones.enter_context(clients.reach(port, "imap", "implicit", context, deadline=2)))
                assert clients.log_in(wires[-1], "imap", "alice", "right").startswith(clients.ACCEPTED["imap"])
        one.reload()
        assert len(wires) > 30 and all(works(wire) for wire in wires)
    enter(port, context).close()
    assert one.front.children("worker") == [worker]
    one.front.stop()


def test_reloads_leave_no_descriptor_behind(house, context):
    one = house()

    def held():
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in [one.front.pid, *children(one.front)]}
    if os.geteuid() != 0:
        pytest.skip("only root may look: the processes are not dumpable")
    one.reload()
    before = held()
    for _ in range(10):
        one.reload()
    wait_for(lambda: held() == before, lambda: f"{before} again, not {held()}")
    one.front.stop()
