"""Commands about migrations, and what the shim needs for them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pymysql
import pytest

from lib.bed import Bed
from lib.ddl import POSTPONED
from lib.shim import Shim


def control_of(bed: Bed) -> dict:
    """The shim's own login."""
    return {"control": {"user": bed.user, "password": bed.password}}


def with_control(bed: Bed, **ddl: object) -> dict:
    return {"ddl": {**POSTPONED["ddl"], **ddl}, **control_of(bed)}


def admin_status(shim: Shim, sql: str) -> tuple[int, str]:
    """Affected rows and the info text of an admin command."""
    with shim.admin_connect() as connection, connection.cursor() as cursor:
        affected = cursor.execute(sql)
        return affected, cursor._result.message.decode(errors="replace") if cursor._result.message else ""


def error_of(call, *arguments: object) -> tuple[int, str]:
    with pytest.raises(pymysql.Error) as refused:
        call(*arguments)
    return refused.value.args


def hours(from_now: int, until_then: int) -> str:
    now = datetime.now(timezone.utc)
    text = [(now + timedelta(minutes=minutes)).strftime("%H:%M") for minutes in (from_now, until_then)]
    return "-".join(text)


def audit_lines(path: Path, **fields: object) -> list[dict]:
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if all(line.get(key) == value for key, value in fields.items())]
