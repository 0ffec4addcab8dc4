"""One more real vtctld for the running cluster: with TLS, with static credentials, or to be killed."""

from __future__ import annotations

import json
import subprocess

from lib.bed import Bed
from lib.certificates import Certificates
from lib.extra import Extra
from lib.ports import free_port


class Vtctld(Extra):
    """tls: the certificates to use; clients then need one of their own. password: of the user `shim`, who may call."""

    kind = "vtctld"

    def __init__(self, bed: Bed, tls: Certificates | None = None, server: str = "server", password: str | None = None):
        super().__init__(bed)
        self.tls, self.server, self.password = tls, server, password
        self.port, self._http_port = free_port(), free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def settings(self) -> dict:
        """What the shim needs to be let in."""
        found: dict = {"vtctld": {"addresses": self.address}}
        if self.password:
            found["vtctld"] |= {"user": "shim", "password": self.password}
        if self.tls:
            found["vtctld_tls"] = {"mode": "verify-identity", "ca": str(self.tls.path("ca.pem")),
                                   "cert": str(self.tls.path("client.pem")),
                                   "key": str(self.tls.path("client-key.pem"))}
        return found

    def command(self) -> list[str]:
        command = self.bed.command("vtctld", {"--port": str(self._http_port), "--grpc-port": str(self.port)})
        if self.tls:
            command += ["--grpc-cert", str(self.tls.copy(self.folder, f"{self.server}.pem")),
                        "--grpc-key", str(self.tls.copy(self.folder, f"{self.server}-key.pem")),
                        "--grpc-ca", str(self.tls.copy(self.folder, "ca.pem"))]
        if self.password:
            users = self.folder / "users.json"
            users.write_text(json.dumps([{"Username": "shim", "Password": self.password}]))
            command += ["--grpc-auth-mode", "static", "--grpc-auth-static-password-file", str(users)]
        return command

    def answers(self) -> bool:
        return self._client("GetCellInfoNames") == 0

    def _client(self, *arguments: str) -> int:
        command = [self.bed.environment["BED_VTCTLDCLIENT"], "--server", f"localhost:{self.port}", *arguments]
        if self.tls:
            command += ["--vtctld-grpc-ca", str(self.tls.path("ca.pem")),
                        "--vtctld-grpc-cert", str(self.tls.path("client.pem")),
                        "--vtctld-grpc-key", str(self.tls.path("client-key.pem"))]
            if self.server == "elsewhere":
                command += ["--vtctld-grpc-server-name", "elsewhere.invalid"]
        if self.password:
            credentials = self.folder / "client.json"
            credentials.write_text(json.dumps({"Username": "shim", "Password": self.password}))
            command += ["--grpc-auth-static-client-creds", str(credentials)]
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode
