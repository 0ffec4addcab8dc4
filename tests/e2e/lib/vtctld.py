"""One more real vtctld for the running cluster: with TLS, with static credentials, or to be killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib.bed import Bed
from lib.certificates import Certificates
from lib.poll import until
from lib.ports import free_port

NOBODY = 65534


class Vtctld:
    """vtctld as the bed starts its own, on other ports.

    tls: the certificates to use; clients then need one of their own. password: of the user `shim`, who may call.
    """

    def __init__(self, bed: Bed, tls: Certificates | None = None, server: str = "server", password: str | None = None):
        self.bed, self.tls, self.server, self.password = bed, tls, server, password
        self.port, self._http_port = free_port(), free_port()
        self._process: subprocess.Popen | None = None
        self._folder: Path | None = None

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

    def __enter__(self) -> "Vtctld":
        self._folder = Path(tempfile.mkdtemp(prefix="e2e-vtctld-"))
        self._folder.chmod(0o777)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Starts it and returns when it answers."""
        command = self.bed.command("vtctld", {"--port": str(self._http_port), "--grpc-port": str(self.port)})
        if self.tls:
            command += ["--grpc-cert", str(self.tls.copy(self._folder, f"{self.server}.pem")),
                        "--grpc-key", str(self.tls.copy(self._folder, f"{self.server}-key.pem")),
                        "--grpc-ca", str(self.tls.copy(self._folder, "ca.pem"))]
        if self.password:
            users = self._folder / "users.json"
            users.write_text(json.dumps([{"Username": "shim", "Password": self.password}]))
            command += ["--grpc-auth-mode", "static", "--grpc-auth-static-password-file", str(users)]
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                env={"PATH": os.defpath, "HOME": str(self._folder), "VTDATAROOT": str(self._folder)}, **identity)
        until(self._answers, "the extra vtctld answers", 40, pause=0.2)

    def _answers(self) -> bool:
        log = (self._folder / "log").read_text(errors="replace")
        assert self._process.poll() is None, f"vtctld ended at once:\n{log[-3000:]}"
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
            credentials = self._folder / "client.json"
            credentials.write_text(json.dumps({"Username": "shim", "Password": self.password}))
            command += ["--grpc-auth-static-client-creds", str(credentials)]
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode

    def stop(self, kill: bool = False) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(20)
        self._process = None
