"""Differences that are known, each with the reason why it stays, and the short selection of tests.

A difference is explained for one test in one mode; "*" is every mode."""

from __future__ import annotations

ATTRIBUTES = "query attributes are not offered: they would change the layout of the statements that the shim reads"
METADATA = "result sets without metadata are not offered: they would change the layout of the responses it follows"
LINKS = ("the client's link is encrypted and the shim's link to MySQL is not, or the other way round: sha256_password "
         "sends the password in another form for each, and the shim, which knows none, cannot change it")
OWN_LINK = "asks MySQL about the TLS or the compression of its link, which is the shim's and not the client's"

HOST = ("connects by TCP and expects an account's host or a TLS link to go with that; the shim reaches this MySQL by its unix "
        "socket, and so comes from localhost and without TLS")
IDS = "KILL of an id from MySQL's own process list: the ids that the shim gives out, and its KILL takes, are its own"

CLOSED = ("after a failed change of user MySQL closes the connection; through the shim that comes a moment later, so that the "
          "next command is answered with another of the two errors for a lost connection")
SPLIT = ("several statements that begin with BEGIN NOT ATOMIC, which neither MySQL nor vtgate knows, and prepare one: the shim "
         "sends them one by one, and MySQL's error shows less of the text behind")

KNOWN: dict[tuple[str, str, str], str] = {
    ("mysql", "query_attributes", "*"): ATTRIBUTES,
    ("mysql", "openssl_1", "*"): OWN_LINK,
    ("mysql", "ssl_compress", "*"): OWN_LINK,
    ("mysql", "plugin_auth_sha256", "tls"): LINKS,
    ("mysql", "plugin_auth_sha256_server_default", "tls"): LINKS,
    ("mysql", "plugin_auth_sha256_server_default_tls", "*"): LINKS,
    ("mysql", "grant", "*"): HOST,
    ("mysql", "grant2", "*"): HOST,
    ("mysql", "mysql_ssl_default", "*"): HOST,
    ("mysql", "mysqlslap_bugs", "*"): HOST,
    ("mysql", "information_schema_cs", "*"): IDS,
    ("mysql", "regular_expressions_utf-8", "*"): IDS,
    ("mysql", "plugin_auth_sha256_tls", "*"): LINKS,
    ("mariadb", "change_user", "*"): CLOSED,
    ("mariadb", "change_user_notembedded", "*"): CLOSED,
    ("mariadb", "cte_recursive_not_embedded", "*"): IDS,
    ("mariadb", "ctype_cp850", "plain"): SPLIT,
    ("mysql-client", "test_skip_metadata", "plain"): METADATA,
    ("mysql-client", "test_wl12542", "plain"): ATTRIBUTES,
    ("mysql-client", "test_bug32847269", "plain"): ATTRIBUTES,
    ("mysql-client", "test_34556764", "plain"): LINKS,
    ("mysql-client", "test_wl14839", "plain"): OWN_LINK,
}

# For ./run-tests: a test or two of each way of the protocol, that take a second each.
QUICK: dict[str, tuple[str, ...]] = {
    "mysql": ("null", "multi_statement", "change_user", "ps_11bugs"),
    "mysql-client": ("test_wl4435_2,test_wl4435_3,test_bug38486,test_change_user,test_bug31418,test_bug28386,"
                     "test_basic_cursors,test_cursor_for_show,test_multi_statements,test_long_data,test_fetch_seek",),
    "mariadb": ("null", "ps_1general"),
}
