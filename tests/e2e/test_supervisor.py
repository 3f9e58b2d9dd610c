"""The house itself: what starts, what is restarted, what ends, and what each process has given up."""
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from support import certificates, clients, liars, process
from support.postern import Backend, Configuration, Listener, Postern, command, environment
from support.wait import wait_for

ONE = [Listener("imap", "implicit")]


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


@pytest.fixture
def front(tmp_path, certificate, store):
    """make(...): a Postern for IMAP; killed at the end if the test did not stop it."""
    made = []

    def make(listeners=None, start=True, **settings):
        settings.setdefault("limits", "drain_timeout = 2; failure_delay_ms = 10;")
        folder = tmp_path / str(len(made))
        folder.mkdir()
        configuration = Configuration(certificate, [Backend("imap", store.port)], listeners=listeners or ONE, **settings)
        made.append(Postern(str(folder), configuration))
        return made[-1].start() if start else made[-1]
    yield make
    for one in made:
        one.kill()


def logs_in(front, context):
    try:
        with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context) as wire:
            return clients.log_in(wire, "imap", "alice", "right").startswith(clients.ACCEPTED["imap"])
    except (OSError, AssertionError):
        return False


def run(front, *arguments):
    """The same configuration once more, to its end: (exit status, output)."""
    done = subprocess.run(command("-c", front.path, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env=environment())
    return done.returncode, done.stdout


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def held(pid):
    """What the descriptors of a process lead to; only root may ask."""
    return {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


# ---- start


def test_ready_names_listeners_workers_library_and_real_addresses(front):
    listeners = [Listener("imap", "implicit"), Listener("imap", "starttls")]
    one = front(listeners=listeners, workers=3)
    ready = one.wait_event("ready")
    assert ready["version"] and ready["level"] == "info"
    assert (ready["listeners"], ready["workers"]) == ("2", "3")
    assert re.fullmatch(r"wolfSSL-\d+\.\d+\.\d+", ready["tls"])
    assert len(one.addresses) == 2 and len(set(one.addresses)) == 2
    assert all(host == "127.0.0.1" and port > 0 for host, port in one.addresses)
    assert len(one.children("worker")) == 3 and len(one.children("auth")) == 2
    one.stop()


def test_a_check_binds_nothing_and_starts_nothing(front):
    one = front(start=False)
    assert run(one, "-t") == (0, "configuration ok\n")
    one.start()
    _, port = one.addresses[0]
    with open(one.path, encoding="utf-8") as file:
        text = file.read().replace("port = 0;", f"port = {port};")
    one.configure(text)
    assert run(one, "-t") == (0, "configuration ok\n")
    one.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_check_that_a_signal_cuts_short_does_not_say_0(front, number):
    one = front(start=False)
    caught = 1 << (number - 1)
    for _ in range(3):
        check = subprocess.Popen(command("-c", one.path, "-t"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True, env=environment())
        try:
            wait_for(lambda: check.poll() is not None or int(status_of(check.pid)["SigCgt"], 16) & caught,
                     "the check to watch for signals")
            check.send_signal(number)
            output = check.communicate(timeout=60)[0]
        finally:
            check.kill()
        assert (check.returncode, output) in ((0, "configuration ok\n"), (75, ""), (-number, ""))


def test_a_key_that_does_not_fit_is_named_with_file_and_line(front, authority, tmp_path):
    other = certificates.make_certificate(str(tmp_path / "other"), authority, ("localhost",))
    one = front(start=False)
    with open(one.path, encoding="utf-8") as file:
        text = re.sub(r'key = "[^"]*"', f'key = "{other.key}"', file.read())
    one.configure(text)
    line = next(number for number, row in enumerate(text.split("\n"), 1) if "key =" in row)
    status, output = run(one)
    assert status == 78
    assert f"{one.path}:{line}: error: " in output
    assert run(one, "-t")[0] == 78


def test_an_address_in_use_is_named_and_gives_75(front):
    one = front()
    host, port = one.addresses[0]
    second = front(listeners=[Listener("imap", "implicit", host, port)], start=False)
    status, output = run(second)
    assert status == 75
    assert f"{host}:{port}" in output and f"{second.path}:" in output
    one.stop()


def test_a_second_one_with_the_same_pid_file_gives_75(front, tmp_path):
    path = tmp_path / "pid"
    one = front(top=f'pid_file = "{path}";')
    assert path.read_text(encoding="ascii") == f"{one.pid}\n"
    status, output = run(one)
    assert status == 75 and str(path) in output
    assert path.read_text(encoding="ascii") == f"{one.pid}\n"
    one.stop()
    assert not path.exists()


def test_a_pid_file_left_behind_is_taken_over(front, tmp_path):
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n", encoding="ascii")
    one = front(top=f'pid_file = "{path}";')
    assert path.read_text(encoding="ascii") == f"{one.pid}\n"
    one.stop()


def test_a_log_that_cannot_be_opened_is_named(front, tmp_path):
    one = front(log=f'target = "{tmp_path}/absent/log";', start=False)
    status, output = run(one)
    assert status == 73 and f"{tmp_path}/absent/log" in output


@pytest.mark.parametrize("line", ["", "-c", "-x", "-c a b", "--child", "--child worker 0 1 99 99 -1 0 0 0 0"])
def test_a_wrong_command_line_gives_64(line):
    done = subprocess.run(command(*line.split()), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                          env=environment())
    assert done.returncode == 64 and done.stderr and not done.stdout


def test_versions_and_options_are_shown():
    done = subprocess.run(command("-V"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
                          env=environment())
    for pattern in (r"postern \d+\.\d+\.\d+", r"wolfSSL-\d", r"libev \d", r"Cyrus SASL \d", r"libconfig \d"):
        assert re.search("^" + pattern, done.stdout, re.M), done.stdout
    done = subprocess.run(command("--options"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=True, env=environment())
    assert "drain_timeout" in done.stdout


# ---- restart


@pytest.mark.parametrize("kind", ["worker", "auth"])
def test_what_is_killed_is_restarted_and_serves(front, context, kind):
    one = front(workers=1)
    before = set(one.children(kind))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    one.wait_event("child_died", count=len(before), kind=kind, signal=9)
    one.wait_event("child_started", count=len(before), kind=kind)
    after = set(one.children(kind))
    assert len(after) == len(before) and not before & after
    wait_for(lambda: logs_in(one, context), "a login to succeed again")
    one.stop()


def test_each_incarnation_is_another(front):
    one = front(workers=1)
    for count in range(1, 4):
        os.kill(one.children("worker")[0], signal.SIGKILL)
        one.wait_event("child_started", count=count)
    incarnations = [event["incarnation"] for event in one.events("child_died") + one.events("child_started")[-1:]]
    assert len(set(incarnations)) == 4 and "0" not in incarnations
    one.stop()


def test_a_role_that_keeps_dying_is_restarted_with_a_pause(front, context):
    one = front(workers=1)
    for count in range(1, 6):
        os.kill(one.children("worker")[0], signal.SIGKILL)
        one.wait_event("child_died", count=count)
        if count < 5:
            one.wait_event("child_started", count=count)
    assert one.children("worker") == [], "restarted at once after the fifth death"
    one.wait_event("child_started", count=5)
    wait_for(lambda: logs_in(one, context), "a login to succeed again")
    one.stop()


def test_a_connection_that_waits_for_a_dead_worker_is_served_by_its_successor(front, context):
    one = front(workers=1)
    worker, = one.children("worker")
    os.kill(worker, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", one.port("imap", "implicit")), timeout=20) as raw:
        os.kill(worker, signal.SIGKILL)
        with context.wrap_socket(raw, server_hostname="localhost") as wire:
            assert wire.recv(100).startswith(b"* OK")
    one.stop()


# ---- end


def test_sigterm_ends_with_0_and_no_process_left(front):
    one = front()
    family = process.descendants(one.pid)
    assert len(family) >= 4
    one.stop(signal.SIGTERM)     # asserts the status and the end of every child
    assert not any(map(process.is_alive, family))
    assert one.events("stopped")


def test_sigint_ends_a_session_at_once(front, context):
    one = front(limits="drain_timeout = 60;")
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
        one.stop(signal.SIGINT)


def test_a_second_sigterm_ends_a_drain(front, context):
    one = front(limits="drain_timeout = 60;")
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
        one.signal(signal.SIGTERM)
        one.wait_event("stopping")
        one.stop(signal.SIGTERM)


def test_signals_to_the_last_do_not_change_the_status(front):
    one = front()
    while one.status is None:
        one.signal(signal.SIGTERM)
    one.stop()


def test_a_drain_frees_the_addresses_and_ends_at_its_deadline(front, context):
    one = front(limits="drain_timeout = 2;")
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
        one.signal(signal.SIGTERM)
        one.wait_event("stopping")

        def refused():
            try:
                socket.create_connection(one.address("imap", "implicit"), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False
        wait_for(refused, "new connections to be refused")
        wait_for(lambda: one.status is not None, "the end of the drain")
    assert one.status == 0
    one.stop()


def test_a_child_that_does_not_answer_is_killed_at_the_end(front):
    one = front(workers=1)
    os.kill(one.children("worker")[0], signal.SIGSTOP)
    one.stop(signal.SIGINT)


def test_children_end_when_the_supervisor_is_killed(front):
    one = front()
    family = process.descendants(one.pid)
    os.kill(one.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(process.is_alive, family)), "the end of every child")


def test_children_ignore_the_signals_of_a_terminal(front, context):
    one = front(workers=1)
    children = sorted(one.children())
    for pid in children:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
            os.kill(pid, number)
    assert logs_in(one, context)
    assert sorted(one.children()) == children
    one.stop()


# ---- log


def test_sigusr1_moves_every_process_to_the_new_log(front, context, tmp_path):
    path, old = tmp_path / "log", tmp_path / "log.1"
    one = front(log=f'target = "{path}"; level = "info";', start=False).launch()
    wait_for(lambda: path.exists() and "event=ready" in path.read_text(encoding="utf-8"), "ready in the file")
    wait_for(lambda: path.read_text(encoding="utf-8").count("event=ticket_key") == 2, "the workers' last word for now")
    assert path.stat().st_mode & 0o777 == 0o640
    address = re.search(r'addresses="127\.0\.0\.1:(\d+)', path.read_text(encoding="utf-8"))
    one.addresses = [("127.0.0.1", int(address[1]))]
    path.rename(old)
    one.signal(signal.SIGUSR1)
    wait_for(lambda: path.exists() and "event=log_reopened" in path.read_text(encoding="utf-8"), "the new file")
    before = old.read_text(encoding="utf-8")
    assert logs_in(one, context)
    wait_for(lambda: "event=session_end" in path.read_text(encoding="utf-8"), "a worker's line in the new file")
    assert old.read_text(encoding="utf-8") == before
    if os.geteuid() == 0:
        for pid in [one.pid, *one.children()]:
            targets = held(pid).values()
            assert str(old) not in targets and str(path) in targets
    one.stop()


# ---- what a child has given up


def test_children_have_no_way_back_to_more_rights(front):
    one = front()
    for pid in one.children():
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0, kind
        if os.geteuid() == 0:
            assert "0" not in status["Uid"].split() + status["Gid"].split()
            assert status["Groups"].split() == []
    one.stop()


def test_no_process_dumps_core_or_can_be_traced_by_its_user(front):
    one = front()
    for pid in [one.pid, *one.children()]:
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            core = next(line for line in file if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
    if os.geteuid() == 0:
        # what belongs to a process that is not dumpable belongs to root in /proc
        for pid in one.children():
            assert status_of(pid)["Uid"].split()[0] != "0"
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    else:
        for pid in [one.pid, *one.children()]:
            with pytest.raises(PermissionError):
                open(f"/proc/{pid}/mem", "rb").close()
    one.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at them: the processes are not dumpable")
@pytest.mark.skipif("POSTERN_WRAPPER" in os.environ, reason="the wrapper has descriptors of its own")
def test_children_hold_their_own_descriptors_only(front):
    one = front(workers=2)
    for kind, sockets in (("worker", 1 + 1 + 4), ("auth", 1 + 2), ("keeper", 1 + 2), ("monitor", 1 + 2)):    # channel, listener, peers
        for pid in one.children(kind):
            wait_for(lambda: sum(target.startswith("socket:") for target in held(pid).values()) >= sockets, "its channels")
            descriptors = held(pid)
            assert descriptors.pop("0") == descriptors.pop("1") == "/dev/null"
            descriptors.pop("2")
            found = list(descriptors.values())
            assert sum(target.startswith("socket:") for target in found) == sockets, found
            shared = [target for target in found if "postern-shared" in target]
            assert len(shared) <= (kind not in ("auth", "keeper")), found
            rest = [target for target in found if not target.startswith(("socket:", "anon_inode:")) and target not in shared]
            assert len(rest) == 1 and rest[0].startswith("pipe:"), found     # the log
    one.stop()


def server_random(port, patience=20):
    """The random bytes of a ServerHello in TLS 1.2, where nothing of it is encrypted; None when nobody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(coming, going).do_handshake()
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as wire:
        wire.sendall(going.read())
        while len(answer) < 5 + 4 + 2 + 32:
            try:
                more = wire.recv(4096)
            except TimeoutError:
                return None
            assert more, answer
            answer += more
    assert answer[0] == 22 and answer[5] == 2, answer[:16]     # handshake record, ServerHello
    return answer[11:43]


def first_randoms(front):
    """Of each worker of a fresh Postern its first ServerHello: the others stand still meanwhile. The kernel spreads
    connections over the sockets of all, so some wait for a sleeper and are given up."""
    workers, found = front.children("worker"), []
    for chosen in workers:
        for pid in workers:
            os.kill(pid, signal.SIGCONT if pid == chosen else signal.SIGSTOP)
        tries = (server_random(front.port("imap", "implicit"), patience=1) for _ in range(40))
        found.append(next(random for random in tries if random))
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    return found


def test_two_workers_draw_different_random_bytes(front):
    one = front(workers=2)
    randoms = first_randoms(one)
    assert len(randoms) == 2 and randoms[0] != randoms[1]
    one.stop()


def test_a_worker_and_its_successor_draw_different_random_bytes(front):
    one = front(workers=1)
    randoms = []
    for count in range(1, 4):
        randoms.append(server_random(one.port("imap", "implicit")))
        os.kill(one.children("worker")[0], signal.SIGKILL)
        one.wait_event("child_started", count=count)
    assert len(set(randoms)) == 3
    one.stop()
