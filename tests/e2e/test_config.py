"""`postern -c PATH -t`: a good configuration exits 0; every fault is told with file and line, and the exit status is 78."""
import pathlib
import re
import shutil
import subprocess

import pytest
from support import certificates
from support.postern import ROOT, command, environment

GOOD = 0
FAULTY = 78

PARTS = {
    "00-main.conf": 'hostname = "mail.example.test";\nworkers = 1;\n',
    "10-tls.conf": 'tls: { certificates = ( { chain = "cert.pem"; key = "key.pem"; } ); };\n',
    "20-listeners.conf": 'listeners = (\n  { protocol = "imap"; address = "127.0.0.1"; port = 1143; tls = "starttls"; },\n'
                         '  { protocol = "submission"; address = "127.0.0.1"; port = 1465; tls = "implicit"; }\n);\n',
    "30-auth.conf": 'auth: { source = "backend"; mechanisms = ( "PLAIN", "LOGIN" ); };\n',
    "40-backends.conf": 'backends = (\n'
                        '  { name = "store"; protocol = "imap"; servers = ( { host = "127.0.0.1"; port = 10143; } ); tls = "none"; },\n'
                        '  { name = "relay"; protocol = "submission"; servers = ( { host = "::1"; port = 10587; } ); tls = "none"; }\n);\n',
    "50-routes.conf": 'routes = ( { imap = "store"; submission = "relay"; } );\n',
    "60-limits.conf": "limits: { preauth_timeout = 60; };\n",
    "70-logging.conf": 'log: { level = "info"; };\n',
}

# (file, its text, the line of the fault, words of the fault)
BROKEN = {
    "an unknown option": ("60-limits.conf", "limits: {\n  idle_timeuot = 5;\n};\n", 2, "idle_timeuot"),
    "a wrong type": ("00-main.conf", '\nworkers = "two";\n', 2, "whole number"),
    "a value out of range": ("60-limits.conf", "limits: {\n\n  pop3_line = 1; };\n", 3, "between"),
    "an integer that would be cut": ("60-limits.conf", "limits: {\n  idle_timeout = 4294967396;\n};\n", 2, "too large"),
    "a syntax error": ("70-logging.conf", "log: {\n  level = = 5;\n};\n", 2, "syntax error"),
    "a string without an end": ("70-logging.conf", 'log: {\n  level = "info;\n};\n', 2, "does not end"),
    "an include": ("70-logging.conf", '# more\n@include "/etc/passwd"\n', 2, "@include"),
    "a setting twice in a folder": ("70-logging.conf", "workers = 2;\n", 1, "00-main.conf:2"),
    "a listener in clear text": ("20-listeners.conf", 'listeners = (\n  { protocol = "imap"; address = "127.0.0.1"; port = 1143;\n'
                                 '    tls = "none"; } );\n', 3, "starttls"),
    "a listener on port 25": ("20-listeners.conf", 'listeners = (\n  { protocol = "submission"; address = "127.0.0.1"; tls = "starttls";\n'
                              "    port = 25; } );\n", 3, "RFC 3207"),
    "a listener with a host name": ("20-listeners.conf", 'listeners = ( { protocol = "imap"; address = "localhost"; port = 1143; '
                                    'tls = "starttls"; } );\n', 1, "numeric"),
    "a listener that leads nowhere": ("20-listeners.conf", 'listeners = ( { protocol = "pop3"; address = "127.0.0.1"; port = 1110; '
                                      'tls = "starttls"; } );\n', 1, "no route serves pop3"),
    "a missing certificate": ("10-tls.conf", 'tls: { certificates = (\n  { chain = "none.pem"; key = "key.pem"; } ); };\n', 2, "none.pem"),
    "a broken certificate": ("10-tls.conf", 'tls: { certificates = (\n  { chain = "broken.pem"; key = "key.pem"; } ); };\n', 2, ""),
    "a key of another certificate": ("10-tls.conf", 'tls: { certificates = (\n  { chain = "cert.pem"; key = "other.pem"; } ); };\n', 2, ""),
    "no certificate": ("10-tls.conf", "# none\n", None, "certificate"),
    "clear text over a network": ("40-backends.conf", PARTS["40-backends.conf"].replace("127.0.0.1", "192.0.2.1"), 2, "clear text"),
    "a route to no pool": ("50-routes.conf", '\nroutes = ( { imap = "stroe"; submission = "relay"; } );\n', 2, "stroe"),
    "a route to a pool of another protocol": ("50-routes.conf", 'routes = ( { imap = "relay"; submission = "relay"; } );\n', 1, "speaks"),
    "a feature of a later version": ("30-auth.conf", "auth: {\n  delegates = ( ); };\n", 2, "not available in this version"),
    "a profile of backends alone": ("10-tls.conf", PARTS["10-tls.conf"].replace("tls: {", 'tls: { profile = "compatible";'), 1, "must be"),
    "ALPN that no client of submission can have": ("10-tls.conf", PARTS["10-tls.conf"].replace("tls: {", 'tls: { alpn = "require";'), 1, "alpn"),
    "a status page for everyone": ("70-logging.conf", 'status: {\n  address = "0.0.0.0"; port = 9587; };\n', 2, "set status.allow"),
    "a socket of syslog without a path": ("70-logging.conf", 'log: {\n  target = "syslog:dev/log"; };\n', 2, "must begin with"),
    "a mechanism that the backend cannot judge": ("30-auth.conf", 'auth: { mechanisms = ( "SCRAM-SHA-256" ); };\n', 1, 'needs source = "sasl"'),
    "an obsolete mechanism": ("30-auth.conf", 'auth: { mechanisms = ( "PLAIN",\n "DIGEST-MD5" ); };\n', 2, "RFC 6331"),
    "limits that contradict each other": ("60-limits.conf", "limits: { preauth_timeout = 5;\n  handshake_timeout = 6; };\n", 2, "exceed"),
}


@pytest.fixture(scope="module")
def pems(authority, tmp_path_factory):
    """cert.pem, key.pem, other.pem (a key that does not fit) and broken.pem, to copy."""
    folder = tmp_path_factory.mktemp("pems")
    for name, key in (("first", "key.pem"), ("second", "other.pem")):
        (folder / name).mkdir()
        pair = certificates.make_certificate(str(folder / name), authority, ("localhost",))
        shutil.copy(pair.key, folder / key)
        if name == "first":
            shutil.copy(pair.chain, folder / "cert.pem")
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n")
    return [path for path in folder.iterdir() if path.suffix == ".pem"]


@pytest.fixture
def folder(tmp_path, pems):
    """A folder of configuration without a fault."""
    for path in pems:
        shutil.copy(path, tmp_path)
        (tmp_path / path.name).chmod(0o600)
    for name, text in PARTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def check(path):
    """Runs -t: (exit status, stderr)."""
    done = subprocess.run(command("-c", path, "-t"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=60, check=False, env=environment())
    return done.returncode, done.stderr


def faults(text, kind="error"):
    """The faults of that kind: (file, line, text); line 0: about the file as a whole."""
    found = re.findall(r"^([^:\n]*)(?::(\d+))?: " + kind + r": (.*)$", text, re.MULTILINE)
    return [(file, int(line or 0), words) for file, line, words in found]


def test_a_folder_without_a_fault_is_accepted(folder):
    status, output = check(folder)
    assert (status, faults(output)) == (GOOD, []), output


def test_a_single_file_without_a_fault_is_accepted(folder):
    path = folder / "whole"
    path.write_text("".join(PARTS.values()))
    status, output = check(path)
    assert (status, faults(output)) == (GOOD, []), output


def test_the_sample_configuration_is_accepted(folder):
    for path in folder.glob("*.conf"):
        path.unlink()
    for path in (pathlib.Path(ROOT) / "conf.d").glob("*.conf"):
        shutil.copy(path, folder)
    status, output = check(folder)
    assert (status, faults(output), faults(output, "warning")) == (GOOD, [], []), output


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_told_with_file_and_line(folder, name):
    file, text, line, words = BROKEN[name]
    (folder / file).write_text(text)
    status, output = check(folder)
    assert status == FAULTY, output
    if line is None:
        assert any(words in fault[2] for fault in faults(output)), output
    else:
        assert any(fault[0] == str(folder / file) and fault[1] == line and words in fault[2] for fault in faults(output)), output


def test_all_faults_are_told_at_once(folder):
    (folder / "00-main.conf").write_text("wokers = 1;\nhostname = 5;\n")
    (folder / "60-limits.conf").write_text("limits: {\n  idle_timeout = 0;\n  pop3_line = 0;\n};\n")
    status, output = check(folder)
    assert status == FAULTY
    assert [fault[1] for fault in faults(output)] == [1, 2, 2, 3], output


@pytest.mark.parametrize("name", ["", "missing.conf"])
def test_a_folder_without_a_file_and_a_path_that_is_not_there_are_refused(tmp_path, name):
    status, output = check(tmp_path / name)
    assert status == FAULTY
    assert [fault[0] for fault in faults(output)] == [str(tmp_path / name)], output


def test_a_key_that_everybody_may_read_is_a_warning(folder):
    (folder / "key.pem").chmod(0o644)
    status, output = check(folder)
    assert (status, faults(output)) == (GOOD, []), output
    assert any("key.pem" in fault[2] for fault in faults(output, "warning")), output


def test_a_backend_that_is_down_is_no_error(folder):
    (folder / "40-backends.conf").write_text(PARTS["40-backends.conf"].replace("127.0.0.1", "127.255.255.1"))
    status, output = check(folder)
    assert (status, faults(output)) == (GOOD, []), output


def test_the_check_binds_nothing_and_leaves_no_file(folder):
    before = sorted(path.name for path in folder.iterdir())
    (folder / "00-main.conf").write_text('pid_file = "postern.pid";\n')
    (folder / "70-logging.conf").write_text('log: { target = "postern.log"; };\n')
    status, output = check(folder)
    assert status == GOOD, output
    assert sorted(path.name for path in folder.iterdir()) == before
