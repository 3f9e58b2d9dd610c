"""The demonstration behind `make demo`: an old, plaintext-only mail store, Postern before it, and real mail clients.

Everything lives in one temporary folder and on loopback, and goes when it ends. Each step states what has to happen and
the demonstration fails when it does not, so it is a test as well."""
import argparse
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import certificates, ports, process, stores  # noqa: E402
from support.postern import Backend, Configuration, Listener, Postern  # noqa: E402

HOST = "127.0.0.1"
STANDARD_PORTS = {("submission", "starttls"): 587, ("submission", "implicit"): 465, ("imap", "starttls"): 143,
                  ("imap", "implicit"): 993, ("pop3", "starttls"): 110, ("pop3", "implicit"): 995}
BOB = ("bob", stores.USERS["bob"])
ALICE = ("alice", stores.USERS["alice"])
_MOST_LINES = 60


class Failed(Exception):
    """A step did not end as it has to; the text is for the reader."""


def say(text=""):
    print(text, flush=True)


def title(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say(f"\n{bold}== {text}{plain}")


def show(text):
    lines = text.replace("\r", "").rstrip("\n").split("\n")
    for line in lines[:_MOST_LINES]:
        say(f"    {line}")
    if len(lines) > _MOST_LINES:
        say(f"    ... {len(lines) - _MOST_LINES} more lines")


def run(command, expect, status=0, shown=lambda line: True, typed=None):
    """Runs a client and shows command and output. `expect` has to be in the output, `status` is its exit status (None:
    any but 0). `shown` picks the lines to show, `typed` is its standard input."""
    say(f"  $ {shlex.join(command)}" + (" <message.txt" if typed else ""))
    done = subprocess.run(command, input=typed or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=60, check=False)
    show("\n".join(line for line in done.stdout.splitlines() if shown(line)))
    if (done.returncode == 0) != (status == 0) or (status and done.returncode != status):
        raise Failed(f"exit status {done.returncode} was not expected\n{done.stdout}")
    if expect not in done.stdout:
        raise Failed(f"this should be in the output: {expect}\n{done.stdout}")
    return done.stdout


def dialogue(port, lines, expect):
    """Speaks to a port in clear text, as a telnet client would, and shows both sides."""
    say(f"  By hand, as with telnet {HOST} {port}:")
    with socket.create_connection((HOST, port), timeout=20) as connection, connection.makefile("rb") as replies:
        text = _reply(replies)
        for line in lines:
            say(f"    > {line}")
            connection.sendall(f"{line}\r\n".encode())
            text = _reply(replies)
            if line == lines[0] and not text.startswith(expect):
                raise Failed(f"the answer should begin with {expect}")


def _reply(replies):
    """Reads and shows one reply; the last line of it. Lines that go on are SMTP's 250- and IMAP's *."""
    while True:
        line = replies.readline().decode(errors="replace").rstrip("\r\n")
        say(f"    < {line}")
        if not line or not (line[3:4] == "-" or (line.startswith("* ") and not line.startswith("* OK"))):
            return line


class Demonstration:
    def __init__(self, port_base):
        self.ports = {key: port_base + port for key, port in STANDARD_PORTS.items()}
        self.folder = tempfile.mkdtemp(prefix="postern-demo-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.dovecot = self.submission = self.postern = None

    def port(self, protocol, tls):
        return self.ports[protocol, tls]

    # -- start and end

    def start(self):
        title("An old mail store, a certificate, and Postern before them")
        authority = certificates.make_ca(self.folder, "Demo CA")
        self.ca = authority.certificate
        certificate = certificates.make_certificate(self.folder, authority, ("mail.example.test", "localhost", HOST, "::1"))
        self.dovecot, self.submission = stores.start_stores(self.folder)
        say(f"  Dovecot   IMAP {HOST}:{self.dovecot.imap_port}, POP3 {HOST}:{self.dovecot.pop3_port}: plain text only")
        if isinstance(self.submission, stores.Postfix):
            say(f"  Postfix   submission {HOST}:{self.submission.port}: plain text only, delivers into that Dovecot")
        else:
            say(f"  Stand-in  submission {HOST}:{self.submission.port}: plain text only, delivers into that Dovecot")
            say("            (Postfix cannot run without root, so a small server of the tests takes its place)")
        self._start_postern(certificate)
        say(f"  Postern   process {self.postern.pid}, configuration {self.postern.path}")
        for (protocol, tls), port in self.ports.items():
            say(f"            {protocol + ',':11} {tls:8}  {HOST}:{port}")

    def _start_postern(self, certificate):
        listeners = [Listener(protocol, tls, HOST, port) for (protocol, tls), port in self.ports.items()]
        backends = [Backend("imap", self.dovecot.imap_port), Backend("pop3", self.dovecot.pop3_port),
                    Backend("submission", self.submission.port)]
        top = 'user = "nobody";' if stores.is_root() else ""
        self.postern = Postern(self.folder, Configuration(certificate, backends, listeners, top=top))
        self.postern.start()

    def end(self):
        """Stops all, in the order of the way in; leaves nothing."""
        try:
            if self.postern:
                self.postern.stop()
        finally:
            for server in (self.submission, self.dovecot):
                if server:
                    server.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what is shown

    def refuse_plaintext(self):
        user, password = ALICE
        title("A login in clear text is refused on every STARTTLS port, before the store hears of it")
        dialogue(self.port("imap", "starttls"), [f"a1 LOGIN {user} {password}", "a2 LOGOUT"], "a1 NO [PRIVACYREQUIRED]")
        dialogue(self.port("pop3", "starttls"), [f"USER {user}", "QUIT"], "-ERR")
        dialogue(self.port("submission", "starttls"), ["AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", "QUIT"], "538 5.7.11")
        say("  Clients that behave do not even try; no mechanism is offered without TLS:")
        run(["swaks", "--server", f"{HOST}:{self.port('submission', 'starttls')}", "--auth", "PLAIN", "--auth-user", user,
             "--auth-password", password, "--from", f"{user}@{stores.DOMAIN}", "--to", f"bob@{stores.DOMAIN}"],
            "did not advertise authentication", status=None)
        run(["curl", "-sS", "--user", f"{user}:{password}", f"imap://{HOST}:{self.port('imap', 'starttls')}/INBOX"],
            "curl: (67)", status=67)
        self._assert_untouched()

    def _assert_untouched(self):
        if "Login:" in self.dovecot.log():
            raise Failed("the store saw a login")
        say("  Dovecot's log: no login so far.")

    def look_at_tls(self):
        title("What a client sees of TLS")
        run(["openssl", "s_client", "-connect", f"{HOST}:{self.port('imap', 'starttls')}", "-starttls", "imap", "-CAfile",
             self.ca, "-verify_return_error", "-verify_ip", HOST, "-brief"], "Verification: OK")

    def submit(self):
        user, password = ALICE
        title("A mail submitted with STARTTLS (swaks)")
        run(["swaks", "--server", f"{HOST}:{self.port('submission', 'starttls')}", "--tls", "--tls-verify", "--tls-ca-path",
             self.ca, "--auth", "PLAIN", "--auth-user", user, "--auth-password", password, "--from", f"{user}@{stores.DOMAIN}",
             "--to", f"bob@{stores.DOMAIN}", "--header", "Subject: by STARTTLS", "--body", "Hello Bob, this is number one."],
            "=== TLS started")
        self.dovecot.wait_message("bob", b"Subject: by STARTTLS")
        title("A mail submitted with implicit TLS (msmtp)")
        run(["msmtp", "--file=/dev/null", f"--host={HOST}", f"--port={self.port('submission', 'implicit')}", "--tls=on",
             "--tls-starttls=off", f"--tls-trust-file={self.ca}", "--auth=plain", f"--user={user}",
             f"--passwordeval=echo {password}", f"--from={user}@{stores.DOMAIN}", "--debug", f"bob@{stores.DOMAIN}"],
            "235 ", typed=f"From: {user}@{stores.DOMAIN}\nTo: bob@{stores.DOMAIN}\nSubject: by implicit TLS\n\n"
            "Hello Bob, this is number two.\n", shown=lambda line: line.startswith(("    (TLS", "<--", "-->")))
        self.dovecot.wait_message("bob", b"Subject: by implicit TLS")

    def read(self):
        title("The same mails read over IMAP and over POP3 (curl)")
        curl = ["curl", "-sS", "--ssl-reqd", "--cacert", self.ca, "--user", ":".join(BOB)]
        for number, subject in ((1, "Subject: by STARTTLS"), (2, "Subject: by implicit TLS")):
            tls = ("implicit", "starttls")[number - 1]
            suffix = "s" if tls == "implicit" else ""
            run([*curl, f"imap{suffix}://{HOST}:{self.port('imap', tls)}/INBOX;MAILINDEX={number}"], subject, shown=_is_telling)
            tls = ("starttls", "implicit")[number - 1]
            suffix = "s" if tls == "implicit" else ""
            run([*curl, f"pop3{suffix}://{HOST}:{self.port('pop3', tls)}/{number}"], subject, shown=_is_telling)
        title("A wrong password")
        run(["curl", "-sS", "--ssl-reqd", "--cacert", self.ca, "--user", "bob:wrong",
             f"imaps://{HOST}:{self.port('imap', 'implicit')}/INBOX"], "curl: (67)", status=67)

    def show_log(self):
        title("What Postern logged")
        self.postern.wait_event("session_end", user="bob")
        for line in self.postern.lines():
            say(f"  {line}")

    def next_steps(self):
        title("What to try next (from another terminal)")
        starttls, implicit = self.port("imap", "starttls"), self.port("submission", "implicit")
        say(textwrap.indent(textwrap.dedent(f"""\
            type IMAP yourself:       openssl s_client -quiet -crlf -starttls imap -connect {HOST}:{starttls} -CAfile {self.ca}
                                      then: a LOGIN alice {ALICE[1]}
            type SMTP yourself:       openssl s_client -quiet -crlf -connect {HOST}:{implicit} -CAfile {self.ca}
            your own mail program:    host {HOST}, ports as above, user alice or bob, passwords "{ALICE[1]}" and "{BOB[1]}"
            watch the mail:           ls -R {self.dovecot.path('mail')}
            an old protocol version:  openssl s_client -connect {HOST}:{self.port('imap', 'implicit')} -tls1_1 -cipher ALL:@SECLEVEL=0
            lose a worker:            kill -9 {' or '.join(map(str, self.postern.children('worker'))) or '(a child of the process above)'}; the next login works
            reload, ending nothing:   edit {self.postern.path}; kill -HUP {self.postern.pid}
            all the tests:            make check
            before your own store:    README.md"""), "  "))

    def stay(self):
        """Until Ctrl-C; shows what is logged meanwhile."""
        title("Postern stays up. Ctrl-C ends the demonstration and removes everything; new log lines appear here.")
        told = len(self.postern.lines())
        while self.postern.status is None:
            lines = self.postern.lines()
            for line in lines[told:]:
                say(f"  {line}")
            told = len(lines)
            time.sleep(0.2)
        raise Failed("Postern ended by itself")


def _is_telling(line):
    return line.startswith(("From:", "To:", "Subject:", "Hello"))


def taken_ports(wanted):
    return [port for port in wanted if not ports.is_free(port, HOST)]


def who_listens(port):
    """The process behind a port as far as /proc tells us, for the reader's convenience."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [row.split() for row in file.readlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(wanted) and row[3] == "0A"}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
            if inodes.intersection(links):
                return f" by process {pid}: {' '.join(process.command_line(int(pid))).splitlines()[0][:80]}"
        except OSError:
            continue
    return ""


def check_ports(port_base):
    taken = taken_ports([port_base + port for port in STANDARD_PORTS.values()])
    if not taken:
        return
    for port in taken:
        say(f"Port {port} of {HOST} is taken{who_listens(port)}")
    say("End what uses it, or move the demonstration to other ports: make demo PORT_BASE=20000 (then 20587, 20465, 20143 ...)")
    sys.exit(1)


def _on_signal(number, _):
    raise SystemExit(128 + number)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--once", action="store_true", help="end after the last step")
    parser.add_argument("--port-base", type=int, default=1000, help="added to 587, 465, 143, 993, 110, 995")
    return parser.parse_args()


def main():
    options = arguments()
    check_ports(options.port_base)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    demonstration, status = Demonstration(options.port_base), 0
    try:
        demonstration.start()
        for step in ("refuse_plaintext", "look_at_tls", "submit", "read", "show_log", "next_steps"):
            getattr(demonstration, step)()
        if not options.once:
            demonstration.stay()
    except KeyboardInterrupt:
        say()
    except Exception as fault:  # whatever it is: say so, with the log, and clear up all the same
        say(f"\nThe demonstration failed: {type(fault).__name__}: {fault}")
        if demonstration.postern:
            say(f"\nThe end of Postern's log:\n{demonstration.postern.log()[-5000:]}")
        status = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        try:
            demonstration.end()
        except Exception as fault:
            say(f"\nPostern did not end as it should: {fault}")
            status = 1
    title("Ended; no process and no file is left." if status == 0 else "Ended with a failure; nothing is left behind.")
    return status


if __name__ == "__main__":
    sys.exit(main())
