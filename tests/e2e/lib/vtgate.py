"""One more real vtgate for the running cluster: with TLS, with another login, or to be killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pymysql

from lib.bed import Bed
from lib.certificates import Certificates
from lib.poll import until
from lib.ports import free_port

NOBODY = 65534


class Vtgate:
    """vtgate as the bed starts its own, on other ports.

    auth: "static" (app/app_secret) or "clientcert" (cleartext password, and the user is the name in
    the certificate of whoever connects). tls: the certificates to use.
    """

    def __init__(self, bed: Bed, auth: str = "static", tls: Certificates | None = None,
                 arguments: tuple[str, ...] = ()):
        self.bed, self.auth, self.tls, self.arguments = bed, auth, tls, arguments
        self.address = ("127.0.0.1", free_port())
        self.user, self.password = "app", "app_secret"
        self._ports = (free_port(), free_port())
        self._process: subprocess.Popen | None = None
        self._folder: Path | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def __enter__(self) -> "Vtgate":
        # The servers run as another user when the tests run as root: the folder is for everybody.
        self._folder = Path(tempfile.mkdtemp(prefix="e2e-vtgate-"))
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
        users = self._folder / "users.json"
        users.write_text(json.dumps({self.user: [{"Password": self.password, "UserData": self.user}]}))
        flags = {"--mysql-server-port": str(self.address[1]), "--port": str(self._ports[0]),
                 "--grpc-port": str(self._ports[1]), "--mysql-auth-server-impl": self.auth,
                 "--mysql-auth-server-static-file": str(users) if self.auth == "static" else None,
                 "--mysql-clientcert-auth-method": None, "--mysql-server-ssl-ca": None,
                 "--mysql-server-ssl-cert": None, "--mysql-server-ssl-key": None}
        command = self.bed.vtgate_command(flags, self.arguments)
        if "--mysql-auth-server-impl" not in command:
            command += ["--mysql-auth-server-impl", self.auth]
        if self.auth == "static" and "--mysql-auth-server-static-file" not in command:
            command += ["--mysql-auth-server-static-file", str(users)]
        if self.auth == "clientcert":
            command += ["--mysql-clientcert-auth-method", "mysql_clear_password",
                        "--mysql-server-ssl-ca", str(self.tls.copy(self._folder, "ca.pem"))]
        if self.tls:
            command += ["--mysql-server-ssl-cert", str(self.tls.copy(self._folder, "server.pem")),
                        "--mysql-server-ssl-key", str(self.tls.copy(self._folder, "server-key.pem"))]
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                env={"PATH": os.defpath, "HOME": str(self._folder), "VTDATAROOT": str(self._folder)}, **identity)
        until(self._answers, "the extra vtgate answers", 40, pause=0.1)

    def _answers(self) -> bool:
        log = (self._folder / "log").read_text(errors="replace")
        assert self._process.poll() is None, f"vtgate ended at once:\n{log[-3000:]}"
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def connect(self) -> pymysql.Connection:
        """Straight to it, as whoever may come in."""
        ssl = {"ca": str(self.tls.path("ca.pem")), "check_hostname": False} if self.tls else None
        if self.auth == "clientcert":
            ssl |= {"cert": str(self.tls.path("client.pem")), "key": str(self.tls.path("client-key.pem"))}
        connection = pymysql.connect(host=self.address[0], port=self.address[1], user=self.user,
                                     password=self.password, database=self.bed.keyspace, ssl=ssl, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM customer WHERE id = -1")
        return connection

    def stop(self, kill: bool = False) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(20)
        self._process = None
