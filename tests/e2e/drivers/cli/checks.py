"""The driver checks (see ../README.md) for the command line clients. Arguments: mariadb or mysql, and the program.

DRIVER_PLUGINS: the folder of mysql's plug-ins, if it is to use any."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

KIND, PROGRAM = sys.argv[1], sys.argv[2]
PLUGINS = os.environ.get("DRIVER_PLUGINS")
PASSWORD, DATABASE, CA = os.environ["DRIVER_PASSWORD"], os.environ["DRIVER_DATABASE"], os.environ.get("DRIVER_CA", "")
TABLE, ROWS, SHARDS = os.environ["DRIVER_TABLE"], os.environ["DRIVER_ROWS"], os.environ["DRIVER_SHARDS"].split(",")

COLUMNS = ("id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), "
           "s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4")
UNICODE = "zażółć 日本語 🐬"
BIG_TEXT = "0123456789 é日🐬" * 50_000
BIG_BLOB = bytes(range(256)) * 4096

if KIND == "mariadb":
    TLS = [f"--ssl-ca={CA}", "--ssl-verify-server-cert"] if CA else ["--skip-ssl"]
else:
    TLS = [f"--ssl-ca={CA}", "--ssl-mode=VERIFY_IDENTITY"] if CA else ["--ssl-mode=DISABLED"]
COMMAND = [PROGRAM, "--no-defaults", "--protocol=TCP", "-h", os.environ["DRIVER_HOST"], "-P", os.environ["DRIVER_PORT"],
           "-u", os.environ["DRIVER_USER"], *TLS, "--default-character-set=utf8mb4", "--max-allowed-packet=64M",
           "--batch", "--skip-column-names", *([f"--plugin-dir={PLUGINS}"] if PLUGINS else []), DATABASE]


class Unsupported(Exception):
    """The client has no such thing."""


class Refused(Exception):
    """The client has printed errors."""


def client(sql: str, *options: str, password: str = PASSWORD) -> tuple[list[list[str]], str]:
    """Runs statements in one session: all rows, and what the client complained of."""
    done = subprocess.run([*COMMAND, *options], input=sql.encode(), capture_output=True, check=False, timeout=120,
                          env={**os.environ, "MYSQL_PWD": password})
    rows = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    return rows, done.stderr.decode(errors="replace").strip()


def query(sql: str) -> list[list[str]]:
    rows, complaint = client(sql)
    if complaint:
        raise Refused(complaint)
    return rows


def codes(complaint: str) -> str:
    return " ".join(f"{code}/{state}" for code, state in re.findall(r"ERROR (\d+) \((\w+)\)", complaint))


def same(found: object, expected: object) -> None:
    assert found == expected, f"{found!r} instead of {expected!r}"


def use_each(sql: str) -> str:
    return "".join(f"USE `{shard}`; {sql}; SELECT '--';" for shard in SHARDS)


def column_is_there(rows: list[list[str]], expected: list[bool]) -> None:
    """The rows are lists of columns, each ended by `--`: one list for each shard and step."""
    found, current = [], []
    for row in rows:
        if row == ["--"]:
            found.append(current)
            current = []
        else:
            current.append(row[0])
    same([[any(column.startswith("by_") for column in columns)] * bool(columns) for columns in found],
         [[there] for there in expected])


# The checks.

def login() -> None:
    same(query("SELECT DATABASE()"), [[DATABASE]])


def wrong_password() -> str:
    _, complaint = client("SELECT 1", password=PASSWORD + "x")
    assert "1045" in complaint, complaint
    return codes(complaint)


def ping() -> None:
    raise Unsupported("no ping")


def create() -> None:
    rows = query(f"CREATE TABLE `{TABLE}` ({COLUMNS}); " + use_each(f"SHOW COLUMNS FROM `{TABLE}`"))
    column_is_there(rows, [False] * len(SHARDS))


def text() -> None:
    same(query(f"SELECT NULL, '', '{UNICODE}', -9223372036854775808, NULL, 1.50"),
         [["NULL", "", UNICODE, str(-2 ** 63), "NULL", "1.50"]])


def big() -> None:
    (value,), = query(f"INSERT INTO `{TABLE}` (id, x) VALUES (1, '{BIG_TEXT}'); SELECT x FROM `{TABLE}` WHERE id = 1")
    assert value == BIG_TEXT, f"{len(value)} characters came back, or others"


def prepared() -> None:
    """PREPARE ... FROM, which is all that these clients have."""
    rows = query(f"""
        SET @k = 2, @i = -7, @d = '1234567890.1234', @s = '{UNICODE}', @x = '';
        PREPARE p FROM 'INSERT INTO `{TABLE}` (id, i, d, s, b, x) VALUES (?, ?, ?, ?, NULL, ?)';
        EXECUTE p USING @k, @i, @d, @s, @x;
        PREPARE q FROM 'SELECT id, i, d, s, b, x FROM `{TABLE}` WHERE id = ?';
        EXECUTE q USING @k""")
    same(rows, [["2", "-7", "1234567890.1234", UNICODE, "NULL", ""]])


def prepared_big() -> None:
    rows = query(f"""
        SET @k = 4, @b = X'{BIG_BLOB.hex()}';
        PREPARE p FROM 'INSERT INTO `{TABLE}` (id, b) VALUES (?, ?)';
        EXECUTE p USING @k, @b;
        PREPARE q FROM 'SELECT hex(b) FROM `{TABLE}` WHERE id = ?';
        EXECUTE q USING @k""")
    assert rows == [[BIG_BLOB.hex().upper()]], "other bytes came back"


def rows() -> None:
    all_rows(query(f"SELECT id, s, n FROM `{ROWS}` ORDER BY id"))


def prepared_rows() -> None:
    all_rows(query(f"SET @k = 0; PREPARE p FROM 'SELECT id, s, n FROM `{ROWS}` WHERE id > ? ORDER BY id';"
                   "EXECUTE p USING @k"))


def all_rows(found: list[list[str]]) -> None:
    expected = [[str(i), f"row {i}", str(i) if i % 2 else "NULL"] for i in range(1, 10_001)]
    assert found == expected, f"{len(found)} rows came, or others"


def multi() -> None:
    """With another delimiter the client sends them in one packet."""
    same(query(f"delimiter //\nSELECT 1; SELECT 'two', NULL; DELETE FROM `{TABLE}` WHERE id = -1; SELECT 4//\n"),
         [["1"], ["two", "NULL"], ["4"]])


def multi_error() -> str:
    found, complaint = client("delimiter //\nSELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3//\nSELECT 5//\n",
                              "--force")
    same(found, [["1"], ["5"]])
    return codes(complaint)


def transaction() -> None:
    count = f"SELECT count(*) FROM `{TABLE}` WHERE id = 10"
    same(query(f"BEGIN; INSERT INTO `{TABLE}` (id) VALUES (10); {count}; ROLLBACK; {count}"), [["1"], ["0"]])
    same(query(f"BEGIN; INSERT INTO `{TABLE}` (id) VALUES (10)"), [])
    same(query(count), [["0"]])
    query(f"BEGIN; INSERT INTO `{TABLE}` (id) VALUES (10); COMMIT")
    same(query(count), [["1"]])


def error() -> str:
    insert = f"INSERT INTO `{TABLE}` (id) VALUES (20)"
    found, complaint = client(f"{insert}; SELEKT 1; SELECT 1; {insert}; SELECT 2; SELECT 1 FROM no_such_table_at_all;"
                              "SELECT 3", "--force")
    same(found, [["1"], ["2"], ["3"]])
    return codes(complaint)


def reset() -> str:
    raise Unsupported("no reset")


def change_user() -> str:
    raise Unsupported("no change of user")


def alter(column: str, statement: str) -> None:
    columns = f"SHOW COLUMNS FROM `{TABLE}`"
    found = query(statement.format(f"ALTER TABLE `{TABLE}` ADD COLUMN {column} int") + use_each(columns)
                  + f"USE `{DATABASE}`;"
                  + statement.format(f"ALTER TABLE `{TABLE}` DROP COLUMN {column}") + use_each(columns))
    column_is_there(found, [True] * len(SHARDS) + [False] * len(SHARDS))


def ddl_text() -> None:
    alter("by_text", "{};")


def ddl_prepared() -> None:
    alter("by_prepared", "PREPARE a FROM '{}'; EXECUTE a;")


def drop() -> None:
    same(query(f"DROP TABLE `{TABLE}`; " + use_each(f"SHOW TABLES LIKE '{TABLE}'")), [["--"]] * len(SHARDS))


CHECKS = (login, wrong_password, ping, create, text, big, prepared, prepared_big, rows, prepared_rows, multi,
          multi_error, transaction, error, reset, change_user, ddl_text, ddl_prepared, drop)


def report(check: str, ok: bool | None, detail: str) -> None:
    print(json.dumps({"check": check, "ok": ok, "detail": detail[:300]}), flush=True)


def main() -> None:
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    report("version", True, re.search(r"(?:Distrib |from |Ver )([\d.]+\.[\d.]+)", version.replace("Ver 15.1", ""))[1])
    for check in CHECKS:
        try:
            detail = check()
        except Unsupported as why:
            report(check.__name__, None, str(why))
        except Exception as failure:  # whatever it is, it is what this check has found
            report(check.__name__, False, f"{failure}" or repr(failure))
            if check is login:
                return
        else:
            report(check.__name__, True, detail or "")


main()
