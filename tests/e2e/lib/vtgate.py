"""One more real vtgate for the running cluster: with TLS, with another login, or to be killed."""

from __future__ import annotations

import json

import pymysql

from lib.bed import Bed
from lib.certificates import Certificates
from lib.extra import Extra
from lib.ports import free_port


class Vtgate(Extra):
    """auth: "static" (app/app_secret) or "clientcert" (cleartext password, and the user is the name in the certificate
    of whoever connects). tls: the certificates to use."""

    kind = "vtgate"

    def __init__(self, bed: Bed, auth: str = "static", tls: Certificates | None = None,
                 arguments: tuple[str, ...] = ()):
        super().__init__(bed)
        self.auth, self.tls, self.arguments = auth, tls, arguments
        self.address = ("127.0.0.1", free_port())
        self.user, self.password = "app", "app_secret"
        self._ports = (free_port(), free_port())

    @property
    def endpoint(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def command(self) -> list[str]:
        users = self.folder / "users.json"
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
                        "--mysql-server-ssl-ca", str(self.tls.copy(self.folder, "ca.pem"))]
        if self.tls:
            command += ["--mysql-server-ssl-cert", str(self.tls.copy(self.folder, "server.pem")),
                        "--mysql-server-ssl-key", str(self.tls.copy(self.folder, "server-key.pem"))]
        return command

    def answers(self) -> bool:
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
