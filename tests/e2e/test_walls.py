"""The walls between the processes, seen from outside: who each is, what it holds, what it may do, and what its user cannot."""
import os
import pwd
import shutil
import signal
import subprocess
import sys

import pytest
from support import clients, liars, walls
from support.postern import Backend, Configuration, Listener, Postern, command, environment, program

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts them under other users and may look at them")
UNWRAPPED = pytest.mark.skipif("POSTERN_WRAPPER" in os.environ, reason="the wrapper has descriptors and calls of its own")
KINDS = ("supervisor", "worker", "auth", "keeper", "monitor")


def sanitized():
    with open(program(), "rb") as file:
        return b"__asan_init" in file.read()


@pytest.fixture(scope="module")
def house(tmp_path_factory, certificate):
    """(Postern, its key file): a running one whose key only root may read, in a folder that everybody may enter."""
    folder = tmp_path_factory.mktemp("house")
    for part in (folder, *folder.parents):
        if part.stat().st_uid == os.geteuid() and part != part.parent:
            part.chmod(part.stat().st_mode | 0o011)
    key = shutil.copy(certificate.key, folder / "key.pem")
    os.chmod(key, 0o600)
    own = type(certificate)(certificate.chain, str(key), certificate.names)
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        front = Postern(str(folder), Configuration(own, [Backend("imap", fake.port)], listeners=[Listener("imap", "implicit")],
                                                   limits="drain_timeout = 2;"))
        try:
            yield front.start(), str(key)
            front.stop()
        finally:
            front.kill()


def processes(front, kind):
    """Ids of all processes of that kind; there is one at least."""
    found = [front.pid] if kind == "supervisor" else front.children(kind)
    assert found, kind
    return found


# ---- who they are


@AS_ROOT
@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_child_is_another_user_without_groups(house, kind):
    for pid in processes(house[0], kind):
        status = walls.status(pid)
        for ids in (status["Uid"].split(), status["Gid"].split()):
            assert len(set(ids)) == 1 and ids[0] != "0"
        assert status["Groups"].split() == []


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_child_has_no_rights_and_no_way_to_any(house, kind):
    for pid in processes(house[0], kind):
        status = walls.status(pid)
        assert status["NoNewPrivs"] == "1"
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, name
        if os.geteuid() == 0:
            assert int(status["CapBnd"], 16) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_leaves_a_core_file(house, kind):
    for pid in processes(house[0], kind):
        assert walls.core_limit(pid) == ("0", "0")


@UNWRAPPED
@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_the_keeper_are_filtered(house, kind):
    wanted = "2" if kind in ("worker", "keeper") and not sanitized() else "0"
    for pid in processes(house[0], kind):
        assert walls.status(pid)["Seccomp"] == wanted


# ---- what they hold


@AS_ROOT
@UNWRAPPED
@pytest.mark.parametrize("kind, wanted", [
    ("supervisor", {"nothing", "socket", "pipe", "event loop", "shared counters", "own program", "watched files", "certificates"}),
    ("worker", {"nothing", "socket", "pipe", "event loop", "shared counters"}),
    ("auth", {"nothing", "socket", "pipe", "event loop"}),
    ("keeper", {"nothing", "socket", "pipe", "event loop"}),
    ("monitor", {"nothing", "socket", "pipe", "event loop", "shared counters"}),
])
def test_every_descriptor_is_explained(house, kind, wanted):
    for pid in processes(house[0], kind):
        found = {target: walls.kind_of(target) for target in walls.descriptors(pid).values()}
        assert set(found.values()) <= wanted, found


@AS_ROOT
@UNWRAPPED
@pytest.mark.skipif(sanitized(), reason="the sanitizer maps what it likes")
@pytest.mark.parametrize("kind", KINDS)
def test_no_memory_is_writable_and_executable_and_no_key_file_is_mapped(house, kind):
    front, key = house
    for pid in processes(front, kind):
        assert walls.writable_and_executable(pid) == []
        assert key not in walls.mapped(pid)


# ---- what the user of a worker cannot do


_TRY = """
import ctypes, os, sys
pid, path = int(sys.argv[1]), sys.argv[2]

def refused(act):
    try:
        act()
    except PermissionError:
        return True
    return False

def read_memory():
    libc, there = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(16)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(there), 16)
    if libc.process_vm_readv(pid, vector, 1, vector, 1, 0) < 0 and ctypes.get_errno() == 1:
        raise PermissionError

def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, None, None) < 0 and ctypes.get_errno() == 1:    # PTRACE_ATTACH
        raise PermissionError

print(refused(lambda: open(path, "rb")), refused(lambda: open(f"/proc/{pid}/mem", "rb")),
      refused(lambda: os.listdir(f"/proc/{pid}/fd")), refused(read_memory), refused(trace))
"""


@AS_ROOT
@pytest.mark.parametrize("kind", KINDS)
def test_the_workers_user_reads_no_key_and_traces_nobody(house, kind):
    front, key = house
    who = int(walls.status(front.children("worker")[0])["Uid"].split()[0])
    group = int(walls.status(front.children("worker")[0])["Gid"].split()[0])
    for pid in processes(front, kind):
        done = subprocess.run([sys.executable, "-B", "-c", _TRY, str(pid), key], capture_output=True, text=True, timeout=60, cwd="/",
                              user=who, group=group, extra_groups=[], check=True)
        assert done.stdout.split() == ["True"] * 5, done.stdout
    with open(key, "rb") as file:
        assert file.read(10)


@AS_ROOT
def test_user_auth_user_and_keeper_user_are_who_the_operator_names(tmp_path, certificate):
    users = [entry for entry in pwd.getpwall() if entry.pw_uid not in (0, 65534)][:3]
    assert len(users) == 3
    top = f'user = "{users[0].pw_name}"; auth_user = "{users[1].pw_name}"; keeper_user = "{users[2].pw_name}";'
    with Postern(str(tmp_path), Configuration(certificate, [Backend("imap", 1)], listeners=[Listener("imap", "implicit")],
                                              top=top)) as front:
        for kind, user in (("worker", users[0]), ("auth", users[1]), ("keeper", users[2])):
            for pid in front.children(kind):
                assert walls.status(pid)["Uid"].split() == [str(user.pw_uid)] * 4
                assert walls.status(pid)["Gid"].split() == [str(user.pw_gid)] * 4


# ---- the filter


@UNWRAPPED
def test_an_end_by_the_filter_is_told_as_such(tmp_path, certificate, context):
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        configuration = Configuration(certificate, [Backend("imap", fake.port)], listeners=[Listener("imap", "implicit")], workers=1)
        with Postern(str(tmp_path), configuration) as front:
            os.kill(front.children("worker")[0], signal.SIGSYS)     # what the kernel sends for a forbidden call
            died = front.wait_event("child_died", kind="worker")
            assert (died["signal"], died["reason"]) == ("31", "seccomp")
            front.wait_event("child_started", kind="worker")
            with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
                pass
            os.kill(front.children("worker")[0], signal.SIGKILL)
            assert "reason" not in front.wait_event("child_died", signal=9)


@UNWRAPPED
def test_without_the_filter_every_start_warns(tmp_path, certificate):
    configuration = Configuration(certificate, [Backend("imap", 1)], listeners=[Listener("imap", "implicit")], top="seccomp = false;")
    with Postern(str(tmp_path), configuration) as front:
        assert front.wait_event("seccomp_off")["level"] == "warning"
        assert walls.status(front.children("worker")[0])["Seccomp"] == "0"


def test_with_the_filter_nothing_is_warned(house):
    assert "POSTERN_WRAPPER" in os.environ or not house[0].events("seccomp_off")


_WITHOUT_SECCOMP = """
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
lib.seccomp_load.argtypes = [ctypes.c_void_p]
lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
context = lib.seccomp_init(0x7fff0000)                                              # allow
assert lib.seccomp_rule_add(context, 0x00050016, lib.seccomp_syscall_resolve_name(b"seccomp"), 0) == 0     # EINVAL
assert lib.seccomp_load(context) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@UNWRAPPED
@pytest.mark.skipif(sanitized(), reason="no filter there")
def test_a_kernel_without_seccomp_is_refused_unless_the_operator_says_so(tmp_path, certificate, monkeypatch):
    configuration = Configuration(certificate, [Backend("imap", 1)], listeners=[Listener("imap", "implicit")])
    path = tmp_path / "postern.conf"
    path.write_text(configuration.text())
    prefix = [sys.executable, "-B", "-c", _WITHOUT_SECCOMP]
    done = subprocess.run([*prefix, *command("-c", path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env=environment())
    assert done.returncode == 70 and "seccomp = false" in done.stderr, done.stderr
    path.write_text(configuration.text() + "seccomp = false;\n")
    running = subprocess.Popen([*prefix, *command("-c", path)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=environment())
    try:
        lines = iter(running.stderr.readline, "")
        assert any("event=ready" in line for line in lines)
        running.terminate()
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.stderr.close()


def test_the_list_of_calls_is_shown():
    done = subprocess.run(command("--syscalls"), capture_output=True, text=True, timeout=60, check=True, env=environment())
    calls = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"recvfrom", "sendto", "accept4", "connect"} <= calls
    assert not calls & {"open", "openat", "execve", "clone", "fork", "ptrace", "kill", "bind", "ioctl", "prctl"}
    done = subprocess.run(command("--syscalls=keeper"), capture_output=True, text=True, timeout=60, check=True, env=environment())
    calls = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"recvfrom", "sendto", "recvmsg", "pread64"} <= calls
    assert "clone (a thread)" in done.stdout.splitlines()
    assert not calls & {"open", "openat", "execve", "fork", "ptrace", "kill", "bind", "ioctl", "prctl", "socket", "connect", "accept4"}
