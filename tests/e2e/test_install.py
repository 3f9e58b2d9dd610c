"""`make install` and what it installs: a program that runs, manual pages, files for systemd and logrotate; `make uninstall`."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from support import clients, liars
from support.postern import ROOT, Backend, Configuration, Listener, Postern, command, environment, program

BUILT = pathlib.Path(program()).parent
SAMPLE = sorted(path.name for path in (ROOT / "conf.d").glob("*.conf"))
pytestmark = pytest.mark.skipif(ROOT not in BUILT.parents, reason="the program under test was not built here")


def tool(name):
    return pytest.mark.skipif(shutil.which(name) is None, reason=name + " is not installed")


def make(target, **variables):
    """Runs make for that target with what has been built already."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    out = str(BUILT.relative_to(ROOT))
    done = subprocess.run(["make", "-C", str(ROOT), "-o", "all", "-o", out + "/postern", "out=" + out, target,
                           *(f"{name}={value}" for name, value in variables.items())],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=clean)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def output(*arguments, check=True):
    done = subprocess.run([str(one) for one in arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env={**environment(), "LC_ALL": "C.UTF-8", "MANROFFOPT": "-ww"})
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed without DESTDIR, as if this folder were /usr/local."""
    folder = tmp_path_factory.mktemp("prefix")
    make("install", PREFIX=folder)
    return folder


# ---- what is there


@pytest.mark.parametrize("place, etc", [("usr", "etc"), ("usr/local", "usr/local/etc")])
def test_everything_is_installed_where_it_belongs_and_nothing_is_left_behind(tmp_path, place, etc):
    make("install", DESTDIR=tmp_path, PREFIX="/" + place)
    assert files(tmp_path) == sorted([
        place + "/sbin/postern", place + "/share/man/man8/postern.8", place + "/share/man/man5/postern.conf.5",
        place + "/lib/systemd/system/postern.service", place + "/lib/systemd/system/postern.socket",
        place + "/lib/sysusers.d/postern.conf", place + "/share/postern/fail2ban/filter.d/postern.conf",
        place + "/share/postern/fail2ban/jail.d/postern.conf", etc + "/logrotate.d/postern", *(etc + "/postern/" + name for name in SAMPLE)])
    unit = (tmp_path / place / "lib/systemd/system/postern.service").read_text()
    assert f"ExecStart=/{place}/sbin/postern -c /{etc}/postern\n" in unit
    for name in files(tmp_path):
        path = tmp_path / name
        assert path.stat().st_mode & 0o777 == (0o755 if name.endswith("sbin/postern") else 0o644)
        assert name.endswith("sbin/postern") or "fail2ban" in name or not re.search(r"@\w+@", path.read_text())
    make("uninstall", DESTDIR=tmp_path, PREFIX="/" + place)
    assert files(tmp_path) == [] and not (tmp_path / etc / "postern").exists()


def test_a_changed_configuration_is_neither_overwritten_nor_removed(tmp_path):
    make("install", DESTDIR=tmp_path, PREFIX="/usr")
    changed = [tmp_path / "etc/postern" / SAMPLE[0], tmp_path / "etc/logrotate.d/postern"]
    for path in changed:
        path.write_text("# mine\n")
    assert "kept " + str(changed[0]) in make("install", DESTDIR=tmp_path, PREFIX="/usr")
    make("uninstall", DESTDIR=tmp_path, PREFIX="/usr")
    assert files(tmp_path) == sorted(str(path.relative_to(tmp_path)) for path in changed)
    assert all(path.read_text() == "# mine\n" for path in changed)


def test_the_installed_program_takes_the_installed_sample(prefix, certificate):
    folder = prefix / "etc/postern"
    shutil.copy(certificate.chain, folder / "cert.pem")
    shutil.copy(certificate.key, folder / "key.pem")
    os.chmod(folder / "key.pem", 0o600)
    assert output(prefix / "sbin/postern", "-c", folder, "-t") == "configuration ok\n"


# ---- manual pages


@tool("groff")
@pytest.mark.parametrize("page", ["man8/postern.8", "man5/postern.conf.5"])
def test_a_manual_page_is_set_without_a_warning(prefix, page):
    path = prefix / "share/man" / page
    done = subprocess.run(["groff", "-Tutf8", "-man", "-ww", "-t", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "Postern 0." in path.read_text()


def test_every_option_stands_in_postern_conf_5(prefix):
    text = (prefix / "share/man/man5/postern.conf.5").read_text()
    names = re.findall(r"^\| `([^`]+)`", output(*command("--options")), re.MULTILINE)
    assert len(names) > 40
    found = re.findall(r"^\.TP\n\\fB(.*?)\\fR", text, re.MULTILINE)
    assert found == names
    assert "`" not in text.partition(".SH EXAMPLE")[0]


def test_the_example_of_postern_conf_5_is_accepted(prefix, tmp_path, certificate):
    text = (prefix / "share/man/man5/postern.conf.5").read_text().partition(".SH EXAMPLE\n.nf\n")[2].partition(".fi")[0]
    shutil.copy(certificate.chain, tmp_path / "cert.pem")
    shutil.copy(certificate.key, tmp_path / "key.pem")
    os.chmod(tmp_path / "key.pem", 0o600)
    (tmp_path / "postern.conf").write_text(text)
    assert output(*command("-c", tmp_path / "postern.conf", "-t")) == "configuration ok\n"


def test_every_command_line_option_and_exit_status_stands_in_postern_8(prefix):
    text = (prefix / "share/man/man8/postern.8").read_text().replace("\\-", "-")
    for option in set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z]*", output(*command("--help")))):
        assert option in text, option
    told = (ROOT / "README.md").read_text().partition("Exit status:")[2].partition("\n\n")[0]
    for status in re.findall(r"\b(0|6\d|7\d)\b", told):
        assert f".B {status}\n" in text, status


@pytest.mark.parametrize("option", ["--options=html", "--options=", "--syscalls=x"])
def test_another_form_of_the_options_is_refused(option):
    done = subprocess.run(command(option), capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == 64 and done.stdout == ""


# ---- systemd, logrotate


@tool("systemd-analyze")
def test_systemd_understands_the_units(prefix):
    units = prefix / "lib/systemd/system"
    told = output("systemd-analyze", "verify", "--man=no", units / "postern.service", units / "postern.socket")
    assert "postern" not in told, told


@tool("systemd-analyze")
def test_the_unit_is_hardened(prefix):
    told = output("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30",
                  prefix / "lib/systemd/system/postern.service")
    assert "Overall exposure level" in told


@tool("systemd-sysusers")
def test_systemd_understands_the_users(prefix, tmp_path):
    (tmp_path / "etc").mkdir()
    output("systemd-sysusers", "--root=" + str(tmp_path), prefix / "lib/sysusers.d/postern.conf")
    users = (tmp_path / "etc/passwd").read_text()
    assert re.search("^postern:", users, re.M) and re.search("^postern-auth:", users, re.M) and re.search("^postern-keys:", users, re.M)


@tool("logrotate")
def test_logrotate_understands_its_file(prefix):
    told = output("logrotate", "-d", prefix / "etc/logrotate.d/postern")
    assert "error" not in told and "/var/log/postern/*.log" in told, told


def settings_of(unit):
    """Of the [Service] section: setting to value."""
    text = unit.read_text().partition("[Service]")[2].partition("\n[")[0]
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line and not line.startswith("#"))


def calls_of(words):
    """The system calls of a SystemCallFilter."""
    found = set()
    for word in words:
        if not word.startswith("@"):
            found.add(word)
            continue
        lines = output("systemd-analyze", "syscall-filter", "--no-pager", word).split("\n")[1:]
        found |= calls_of(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
    return found


# Takes the system calls CALL,CALL...; all others give EPERM. Then it becomes the program.
_ONLY_CALLS = """
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
lib.seccomp_load.argtypes = [ctypes.c_void_p]
lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
context = lib.seccomp_init(0x00050001)
for name in sys.argv[1].split(","):
    lib.seccomp_rule_add(context, 0x7fff0000, lib.seccomp_syscall_resolve_name(name.encode()), 0)
assert lib.seccomp_load(context) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""


@tool("setpriv")
@tool("systemd-analyze")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
@pytest.mark.skipif("POSTERN_WRAPPER" in os.environ or b"__asan_init" in pathlib.Path(program()).read_bytes(),
                    reason="the sanitizers and valgrind need more")
def test_the_program_lives_with_the_rights_and_calls_of_the_unit(prefix, tmp_path, certificate, context, monkeypatch):
    settings = settings_of(prefix / "lib/systemd/system/postern.service")
    rights = ",".join("+" + name[len("CAP_"):].lower() for name in settings["CapabilityBoundingSet"].split())
    wrapper = [sys.executable, "-B", "-c", _ONLY_CALLS, ",".join(sorted(calls_of(settings["SystemCallFilter"].split()))),
               "setpriv", "--no-new-privs", "--bounding-set", "-all," + rights, "--"]
    monkeypatch.setenv("POSTERN_WRAPPER", shlex.join(wrapper))
    address = "127.77.%d.%d" % (os.getpid() >> 8 & 255, os.getpid() & 255 or 1)
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        configuration = Configuration(certificate, [Backend("imap", fake.port)], listeners=[Listener("imap", "implicit", address, 993)],
                                      top='user = "nobody"; auth_user = "daemon"; keeper_user = "bin";')
        with Postern(str(tmp_path), configuration) as front:
            with clients.enter(993, "imap", "implicit", context, "alice", "right", host=address):
                pass
            os.kill(front.children("worker")[0], 9)
            front.wait_event("child_started", kind="worker")
            with open(f"/proc/{front.pid}/status", encoding="ascii") as file:
                assert re.search(r"^NoNewPrivs:\t1$", file.read(), re.MULTILINE)
