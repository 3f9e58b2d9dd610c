"""Rules of the house that a compiler does not see: who includes what, and that README.md tells the truth."""
import fnmatch
import re
import shutil
import subprocess

import pytest

from support.postern import ROOT, command

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
EVENT = re.compile(r'\b(?:log_event|log_begin|child_log|session_log|session_log_auth)\s*\([^;"]*"([a-z_]+)"(?: : "([a-z_]+)")?')


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).glob("*.[ch]"))]


def included(path):
    return set(INCLUDE.findall(path.read_text()))


def read(name):
    return (ROOT / name).read_text()


def who_includes(pattern):
    return {str(path.relative_to(ROOT)) for path in sources("frontend", "auth", "protocols")
            if any(re.match(pattern, name) for name in included(path))}


def test_there_is_something_to_judge():
    for folder in ("frontend", "auth", "protocols"):
        assert len(sources(folder)) > 4, folder
    assert who_includes(r"ev\.h$") and who_includes(r"string\.h$")


@pytest.mark.parametrize("path", sources("protocols"), ids=lambda path: path.name)
def test_the_grammars_are_pure(path):
    forbidden = (r"ev\.h|sys/|netinet/|arpa/|netdb\.h|unistd\.h|fcntl\.h|poll\.h|errno\.h|time\.h|signal\.h|pthread\.h|"
                 r"wolfssl/|openssl/|sasl/|libconfig|frontend/|auth/")
    found = [name for name in included(path) if re.match(forbidden, name)]
    assert not found


@pytest.mark.parametrize("name", ["profile.c", "gate.c", "gate_alpn.c", "gate_certificate.c"])
def test_the_gate_is_pure(name):
    """Tables and decisions: nothing of the TLS library, of sockets or of the configuration."""
    path = ROOT / "frontend" / name
    allowed = r"frontend/(profile|gate|book)\.h$|protocols/|(assert|limits|stdbool|stddef|stdint|string|strings)\.h$"
    seen = [path] + [path.parent / header for header in ("profile.h", "gate.h", "book.h")]
    assert not [name for one in seen for name in included(one) if not re.match(allowed, name)]


@pytest.mark.parametrize("library, files", [
    (r"sasl/", {"auth/auth_sasl.c", "auth/auth_sasl_library.c"}),
    (r"openssl/", {
        "frontend/audit_chain.c",
        "frontend/certificate.c",
        "frontend/certificate_check.c",
        "frontend/certificate_parts.h",
        "frontend/certificate_staple.c",
        "frontend/client_certificate.c",
        "frontend/key.c",
        "frontend/key_parts.h",
        "frontend/ocsp_request.c",
        "frontend/public_key.c",
        "frontend/ticket_seal.c",
    }),
    (r"seccomp\.h$", {"frontend/syscalls.c"}),
    (r"microhttpd", {"frontend/status_http.c"}),
    (r"curl/", {"frontend/ocsp_http.c"}),
    (r"p11-kit/", {"frontend/token_module.c"}),
])
def test_a_library_is_known_to_one_file(library, files):
    assert who_includes(library) == files


@pytest.mark.parametrize("library, beginning", [(r"libconfig\.h$", "frontend/config"), (r"wolfssl/|/tls_internal\.h$", "frontend/tls")])
def test_a_library_is_known_to_one_family_of_files(library, beginning):
    found = who_includes(library)
    assert found and all(name.startswith(beginning) for name in found), found


def test_the_auth_process_knows_nothing_of_clients():
    for path in sources("auth"):
        names = included(path)
        assert not any(re.match(r"frontend/(session|preauth|relay|transport|tls|listener|worker)\.h", name) for name in names), path


def test_every_option_stands_in_the_readme_as_the_program_tells_it_and_no_other():
    shown = subprocess.run(command("--options"), capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    assert shown.count("\n") > 40
    text = read("README.md")
    assert "<!-- options -->" in text and "<!-- /options -->" in text
    told = text.partition("<!-- options -->")[2].partition("<!-- /options -->")[0].strip()
    rows = (set(shown.split("\n")), set(told.split("\n")))
    assert rows[0] == rows[1], "only in the program: %s\nonly in README.md: %s" % (rows[0] - rows[1], rows[1] - rows[0])


def test_every_event_stands_in_the_readme():
    events = {name for path in sources("frontend", "auth") for names in EVENT.findall(re.sub(r'"\s*:\s*"', '" : "', path.read_text()))
              for name in names if name}
    assert {"ready", "session_end", "auth_failed", "backend_up", "child_ended", "child_died"} <= events, "the pattern finds them no more"
    text = read("README.md")
    assert not [name for name in sorted(events) if not re.search(r"^\| `%s` \|" % name, text, re.MULTILINE)]


def test_every_source_file_stands_on_the_map_of_the_house():
    house = read("README.md").partition("## The house\n")[2].partition("\n### ")[0]
    told = [name.rpartition("/")[2] for name in re.findall(r"`([\w/*]+\.c)`", house)]
    files = sorted(path.name for path in sources("frontend", "auth", "protocols") if path.suffix == ".c")
    assert len(files) > 100
    assert not [name for name in files if not any(fnmatch.fnmatchcase(name, pattern) for pattern in told)]
    assert not [pattern for pattern in told if not fnmatch.filter(files, pattern)]


def test_every_metric_stands_in_the_readme():
    names = set(re.findall(r'"(postern_[a-z_]+)"', read("frontend/metrics.c") + read("frontend/status.c")))
    names |= set(re.findall(r'# TYPE (postern_[a-z_]+) ', read("frontend/status.c") + read("frontend/status_certificates.c")))
    assert {"postern_sessions", "postern_backend_up", "postern_certificates"} <= names, "the pattern finds them no more"
    text = read("README.md")
    assert not [name for name in sorted(names) if "`%s`" % name not in text]


def test_every_command_line_option_stands_in_the_readme():
    shown = subprocess.run(command("--help"), capture_output=True, text=True, timeout=60)
    options = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z]*", shown.stdout + shown.stderr))
    assert {"-c", "-t", "-V"} <= options
    text = read("README.md")
    assert not [name for name in sorted(options - {"-h", "--help"}) if name not in text]


def test_the_configuration_in_the_readme_is_accepted(tmp_path, certificate):
    block = next(text for text in re.findall(r"```\n(.*?)```", read("README.md"), re.DOTALL) if "listeners = (" in text)
    shutil.copy(certificate.chain, tmp_path / "cert.pem")
    shutil.copy(certificate.key, tmp_path / "key.pem")
    (tmp_path / "postern.conf").write_text(block)
    done = subprocess.run(command("-c", tmp_path / "postern.conf", "-t"), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
