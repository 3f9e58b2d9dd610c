"""A throw-away certification authority and certificates of it, made with the openssl command line."""
import ipaddress
import os
import subprocess
from dataclasses import dataclass

_KEYS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"],
    "rsa": ["-newkey", "rsa:2048"],
    "ed25519": ["-newkey", "ed25519"],
    "rsa-1024": ["-newkey", "rsa:1024"],
    "rsa-3072": ["-newkey", "rsa:3072"],
}


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files; chain is the certificate, then what is between it and the authority."""

    chain: str
    key: str
    names: tuple


@dataclass(frozen=True)
class Authority:
    """Paths of PEM files of an authority; certificate is what clients are told to trust."""

    certificate: str
    key: str


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def _stem(folder, name):
    """A path in the folder that no file has yet; without a suffix."""
    clean = "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
    number = 0
    while True:
        path = os.path.join(folder, clean + (f"-{number}" if number else ""))
        if not os.path.exists(path + ".key"):
            return path
        number += 1


def make_ca(folder, name="Throw-away CA", key="ec", days=2):
    """A new authority with its own key, in the folder."""
    os.makedirs(folder, exist_ok=True)
    stem = _stem(folder, name.replace(" ", "-").lower())
    settings = _write(
        stem + ".cnf",
        "[req]\ndistinguished_name = dn\nprompt = no\nx509_extensions = ca\n"
        f"[dn]\nCN = {name}\n"
        "[ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
        "subjectKeyIdentifier = hash\n",
    )
    _openssl("req", "-x509", "-nodes", "-sha256", *_KEYS[key], "-days", str(days), "-config", settings,
             "-keyout", stem + ".key", "-out", stem + ".pem")
    return Authority(certificate=stem + ".pem", key=stem + ".key")


def make_certificate(folder, ca, names, key="ec", days=1, more=""):
    """A server certificate of that authority for host names and addresses. Days may be negative: expired. `more`: lines of
    further extensions."""
    os.makedirs(folder, exist_ok=True)
    names = (names,) if isinstance(names, str) else tuple(names)
    stem = _stem(folder, names[0])
    settings = _write(stem + ".cnf", f"[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = {names[0]}\n")
    extensions = _write(
        stem + ".ext",
        f"basicConstraints = CA:FALSE\nsubjectAltName = {','.join(map(_alternative, names))}\n"
        "keyUsage = critical, digitalSignature" + (", keyEncipherment" if key.startswith("rsa") else "") + "\n"
        "extendedKeyUsage = serverAuth\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n" + more,
    )
    _openssl("req", "-new", "-nodes", "-sha256", *_KEYS[key], "-config", settings, "-keyout", stem + ".key",
             "-out", stem + ".csr")
    _openssl("x509", "-req", "-sha256", "-in", stem + ".csr", "-CA", ca.certificate, "-CAkey", ca.key,
             "-set_serial", str(int.from_bytes(os.urandom(8), "big") >> 1), "-days", str(days),
             "-extfile", extensions, "-out", stem + ".pem")
    return Certificate(chain=stem + ".pem", key=stem + ".key", names=names)


def _alternative(name):
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def make_client_certificate(folder, ca, addresses, key="ec", days=1, usage="clientAuth", name="A client", chain=()):
    """A certificate that a client logs in with, for these addresses; behind it in the file, those of `chain`."""
    os.makedirs(folder, exist_ok=True)
    stem = _stem(folder, "client")
    settings = _write(stem + ".cnf", f"[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = {name}\n")
    extensions = _write(
        stem + ".ext",
        "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
        + (f"extendedKeyUsage = {usage}\n" if usage else "")
        + (f"subjectAltName = {','.join('email:' + one for one in addresses)}\n" if addresses else ""),
    )
    kinds = {**_KEYS, "rsa-1024": ["-newkey", "rsa:1024"]}
    _openssl("req", "-new", "-nodes", "-sha256", *kinds[key], "-config", settings, "-keyout", stem + ".key", "-out", stem + ".csr")
    _openssl("x509", "-req", "-sha256", "-in", stem + ".csr", "-CA", ca.certificate, "-CAkey", ca.key,
             "-set_serial", str(int.from_bytes(os.urandom(8), "big") >> 1), "-days", str(days),
             "-extfile", extensions, "-out", stem + ".pem")
    with open(stem + ".pem", "a", encoding="ascii") as out:
        for path in chain:
            with open(path, encoding="ascii") as file:
                out.write(file.read())
    return Certificate(chain=stem + ".pem", key=stem + ".key", names=tuple(addresses))


def make_intermediate(folder, ca, name="Throw-away intermediate CA", days=1):
    """An authority below another one."""
    stem = _stem(folder, name.replace(" ", "-").lower())
    settings = _write(stem + ".cnf", f"[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = {name}\n")
    extensions = _write(stem + ".ext", "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
                                       "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n")
    _openssl("req", "-new", "-nodes", "-sha256", *_KEYS["ec"], "-config", settings, "-keyout", stem + ".key", "-out", stem + ".csr")
    _openssl("x509", "-req", "-sha256", "-in", stem + ".csr", "-CA", ca.certificate, "-CAkey", ca.key, "-set_serial",
             str(int.from_bytes(os.urandom(8), "big") >> 1), "-days", str(days), "-extfile", extensions, "-out", stem + ".pem")
    return Authority(certificate=stem + ".pem", key=stem + ".key")


def make_crl(folder, ca, revoked=(), end="+1 day"):
    """A revocation list of that authority with these certificates on it; `end` as date(1) takes it. Returns its path."""
    stem = _stem(folder, "crl")
    _write(stem + ".key", "")    # so that the next one has another name
    lines = []
    for one in revoked:
        serial = _text("x509", "-in", one.chain, "-noout", "-serial").partition("=")[2]
        lines.append(f"R\t491231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=revoked\n")
    index = _write(stem + ".index", "".join(lines))
    _write(stem + ".index.attr", "")
    settings = _write(stem + ".cnf", f"[ca]\ndefault_ca = one\n[one]\ndatabase = {index}\ndefault_md = sha256\n")
    moment = subprocess.run(["date", "-u", "-d", end, "+%Y%m%d%H%M%SZ"], capture_output=True, text=True, check=True).stdout.strip()
    _openssl("ca", "-gencrl", "-config", settings, "-cert", ca.certificate, "-keyfile", ca.key,
             "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", moment, "-out", stem + ".pem")
    return stem + ".pem"


def fingerprint(certificate):
    """Its SHA-256 as openssl prints it: pairs of digits and colons."""
    return _text("x509", "-in", certificate.chain, "-noout", "-fingerprint", "-sha256").partition("=")[2]


def _text(*arguments):
    return subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout.strip()
