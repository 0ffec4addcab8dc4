"""The ways in which a test is run through the shim, and what each is compared with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """One way through the shim. With `straight_options` the same is run straight on MySQL.

    server_tls: the shim's own link to MySQL is encrypted, too."""

    name: str
    what: str
    options: tuple[str, ...] = ()
    server_tls: bool = False


MYSQL_MODES = (
    Mode("plain", "as it is"),
    Mode("ps", "SELECT, INSERT and so on as server-side prepared statements", ("--ps-protocol",)),
    Mode("tls", "TLS from the client to the shim, and from there to MySQL", ("--ssl-mode=REQUIRED",), server_tls=True),
    Mode("compress", "the compressed protocol between client and shim", ("--compress",)),
    Mode("async", "with the client library's calls that do not block", ("--async-client",)),
)
# MariaDB's program speaks the protocol of another client library; its way of asking for TLS is another, and it would look for
# the authority of the shim's certificate among the system's.
MARIADB_MODES = (
    Mode("plain", "as it is"),
    Mode("ps", "as server-side prepared statements", ("--ps-protocol",)),
    Mode("cursor", "as prepared statements with a read-only cursor", ("--cursor-protocol",)),
    Mode("tls", "TLS on both links", ("--ssl", "--skip-ssl-verify-server-cert"), server_tls=True),
    Mode("compress", "the compressed protocol between client and shim", ("--compress",)),
    Mode("async", "with the client library's calls that do not block", ("--non-blocking-api",)),
)
# These programs choose for themselves what they send.
CLIENT_MODES = (Mode("plain", "as it is"),)
MODES = {"mysql": MYSQL_MODES, "mysql-client": CLIENT_MODES, "mariadb": MARIADB_MODES, "mariadb-client": CLIENT_MODES}
