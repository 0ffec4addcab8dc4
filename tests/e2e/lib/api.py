"""A client of the HTTP API, and what its OpenAPI document says of an answer."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from typing import Any

from lib.shim import Shim


def token_hash(token: str) -> str:
    """As http_tokens has it."""
    return "$sha2$" + hashlib.sha256(hashlib.sha256(token.encode()).digest()).hexdigest()


class Answer:
    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["error"]["message"]


class Api:
    """Requests with one token, each on a connection of its own."""

    def __init__(self, shim: Shim, token: str | None = None, tls: ssl.SSLContext | None = None):
        self.address, self.token, self.tls = shim.http_address, token, tls

    def __call__(self, method: str, path: str, body: Any = None, raw: bytes | None = None, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if method == "POST":
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        connection: http.client.HTTPConnection
        if self.tls:
            connection = http.client.HTTPSConnection("localhost", self.address[1], timeout=20, context=self.tls)
        else:
            connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path if path.startswith("/") else f"/api/v1/{path}",
                               raw if raw is not None else None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status == 200, answer.body
        return answer.json


TYPES: dict[str, Any] = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}


def is_type(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def check(document: dict, schema: dict, value: Any, where: str = "$") -> None:
    """`value` is what `schema` says; the part of JSON Schema that our document uses, and nothing that is not known."""
    assert not schema.keys() - {"$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "oneOf",
                                "description", "minimum", "maximum", "minItems"}, schema
    if "$ref" in schema:
        check(document, resolve(document, schema["$ref"]), value, where)
        return
    if "oneOf" in schema:
        assert sum(fits(document, each, value) for each in schema["oneOf"]) == 1, f"{where}: {value!r}"
        return
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    assert not names or any(is_type(value, name) for name in names), f"{where}: {value!r} is none of {names}"
    if isinstance(value, dict):
        assert not set(schema.get("required", [])) - value.keys(), f"{where}: {value} lacks something"
        for key, item in value.items():
            known = schema.get("properties", {}).get(key)
            assert known is not None or schema.get("additionalProperties", True), f"{where}: {key} is not described"
            check(document, known or {}, item, f"{where}.{key}")
    for i, item in enumerate(value if isinstance(value, list) else []):
        check(document, schema.get("items", {}), item, f"{where}[{i}]")


def fits(document: dict, schema: dict, value: Any) -> bool:
    try:
        check(document, schema, value)
    except AssertionError:
        return False
    return True


def resolve(document: dict, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document
