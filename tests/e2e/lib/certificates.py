"""Throw-away certificates: an authority, a server `localhost`, a client `app`, and a stranger."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Certificates:
    """Files in a folder: ca.pem, server.pem, client.pem, nameless.pem (a client without a common name), peer.pem (both at once), elsewhere.pem (a server of another name),
    other-ca.pem (an authority that signed nothing), and the keys as NAME-key.pem."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        key, certificate = self._authority("ca")
        self._authority("other-ca")
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self._sign("server", "localhost", addresses, ExtendedKeyUsageOID.SERVER_AUTH, key, certificate)
        # etcd's own gateway is a client of etcd.
        self._sign("peer", "localhost", addresses, ExtendedKeyUsageOID.SERVER_AUTH, key, certificate, ExtendedKeyUsageOID.CLIENT_AUTH)
        self._sign("elsewhere", "elsewhere.invalid", [x509.DNSName("elsewhere.invalid")],
                   ExtendedKeyUsageOID.SERVER_AUTH, key, certificate)
        self._sign("nameless", "", [x509.DNSName("app")], ExtendedKeyUsageOID.CLIENT_AUTH, key, certificate)
        self._sign("client", "app", [x509.DNSName("app")], ExtendedKeyUsageOID.CLIENT_AUTH, key, certificate)

    def path(self, name: str) -> Path:
        return self.folder / name

    def copy(self, folder: Path, name: str) -> Path:
        """A copy that everybody can read."""
        target = Path(shutil.copy(self.path(name), folder / name))
        target.chmod(0o644)
        return target

    def context(self, *, ca: str = "ca.pem", certificate: str | None = None) -> ssl.SSLContext:
        """For a client that checks the server, and shows a certificate if one is named."""
        context = ssl.create_default_context(cafile=str(self.path(ca)))
        if certificate:
            context.load_cert_chain(self.path(f"{certificate}.pem"), self.path(f"{certificate}-key.pem"))
        return context

    def _authority(self, name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"vtshim tests {name}")])
        certificate = (self._builder(subject, subject, key)
                       .add_extension(x509.BasicConstraints(True, None), critical=True)
                       .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
                       .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
                       .sign(key, hashes.SHA256()))
        self._write(name, key, certificate)
        return key, certificate

    def _sign(self, name: str, subject: str, names: list, usage: x509.ObjectIdentifier,
              ca_key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, *more: x509.ObjectIdentifier) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
        certificate = (self._builder(subject_name, ca.subject, key)
                       .add_extension(x509.SubjectAlternativeName(names), False)
                       .add_extension(x509.ExtendedKeyUsage([usage, *more]), False)
                       .add_extension(x509.BasicConstraints(False, None), True)
                       .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
                       .sign(ca_key, hashes.SHA256()))
        self._write(name, key, certificate)

    @staticmethod
    def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=30)))

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.path(f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = self.path(f"{name}-key.pem")
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        key_file.chmod(0o600)
