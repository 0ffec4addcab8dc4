"""An etcd of a test's own, with TLS, client certificates and users. Spoken to over its JSON gateway."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from lib.bed import Bed
from lib.certificates import Certificates
from lib.poll import until
from lib.ports import free_port

ROOT, ROOT_PASSWORD = "root", "root_secret"
USER, PASSWORD = "vtshim", "fleet_secret_1"  # the shim's


def program(bed: Bed) -> str:
    """The one that the bed runs."""
    pid = (Path(bed.environment["BED_PIDS_DIR"]) / "etcd.pid").read_text().split()[0]
    return os.readlink(f"/proc/{pid}/exe")


class Etcd:
    """Its gateway takes no client's certificate with a common name while there are users: etcd's embed/serve.go."""

    def __init__(self, bed: Bed, folder: Path, certificates: Certificates):
        self.program, self.folder, self.certificates = program(bed), folder, certificates
        self.port, self.peer = free_port(), free_port()
        self.process: subprocess.Popen | None = None
        self.token = ""

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def start(self) -> "Etcd":
        of = self.certificates.path
        client, peer = f"https://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer}"
        self.process = subprocess.Popen(
            [self.program, "--name", "secure", "--data-dir", str(self.folder / "secure.etcd"), "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
             f"secure={peer}", "--client-cert-auth", "--trusted-ca-file", str(of("ca.pem")), "--cert-file", str(of("peer.pem")),
             "--key-file", str(of("peer-key.pem"))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "etcd answers", 20)
        return self

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def call(self, path: str, **body: object) -> dict:
        request = urllib.request.Request(f"https://{self.address}/v3/{path}", json.dumps(body).encode(),
                                         {"Authorization": self.token} if self.token else {})
        context: ssl.SSLContext = self.certificates.context(certificate="nameless")
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return json.load(answer)

    def _answers(self) -> bool:
        try:
            return bool(self.call("maintenance/status"))
        except OSError:
            return False

    def log_in(self) -> None:
        self.token = ""
        self.token = self.call("auth/authenticate", name=ROOT, password=ROOT_PASSWORD)["token"]

    def put(self, key: str, value: str) -> None:
        self.call("kv/put", key=encoded(key), value=encoded(value))

    def with_user(self) -> "Etcd":
        """Logins are needed from now on; the shim's user may do what every shim needs."""
        self.call("auth/user/add", name=ROOT, password=ROOT_PASSWORD)
        self.call("auth/user/grant", user=ROOT, role="root")
        self.call("auth/user/add", name=USER, password=PASSWORD)
        self.call("auth/role/add", name="shim")
        for prefix, permission in (("/vtshim/", "READWRITE"), ("/vitess/", "READ")):
            self.grant(prefix, permission)
        self.call("auth/user/grant", user=USER, role="shim")
        self.call("auth/enable")
        self.log_in()
        return self

    def grant(self, prefix: str, permission: str) -> None:
        """To the shim's user, of all keys that begin so; the prefix ends with a slash."""
        self.call("auth/role/grant", name="shim", perm={"permType": permission, "key": encoded(prefix),
                                                        "range_end": encoded(prefix[:-1] + "0")})

    def login_settings(self) -> dict:
        """How a shim gets in."""
        of = self.certificates.path
        return {"etcd": {"user": USER, "password": PASSWORD},
                "etcd_tls": {"mode": "verify-identity", "ca": str(of("ca.pem")), "cert": str(of("nameless.pem")),
                             "key": str(of("nameless-key.pem"))}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
