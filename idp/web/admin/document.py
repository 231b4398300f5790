"""The OpenAPI 3.1 description of the admin API, made of the operations by apispec."""

import json
from collections.abc import Sequence
from typing import Any

from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from idp import __version__
from idp.web.admin.operations import PREFIX, Operation
from idp.web.admin.problems import TYPE

REF = "#/components/schemas/{model}"
MEANINGS = {
    "400": "The request cannot be read",
    "401": "No valid access token",
    "403": "The token may not do this",
    "404": "There is no such thing",
    "409": "In conflict with what is there",
    "412": "Changed since it was read",
    "413": "Too large",
    "415": "Not JSON",
    "422": "Not what this operation takes",
    "428": "If-Match is needed",
    "429": "Too many failures",
    "500": "A failure of the server; the support code leads to its cause",
    "503": "Busy, or a message cannot be sent; try again",
}


def document(operations: Sequence[Operation], issuer: str) -> bytes:
    spec = APISpec(
        title="idp admin API",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": "Users, their authenticators, and clients."},
        servers=[{"url": issuer + PREFIX}],
    )
    scopes = {operation.scope: operation.scope for operation in operations}
    spec.components.security_scheme(
        "oauth",
        {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": f"{issuer}/token", "scopes": scopes}},
        },
    )
    spec.components.schema("Problem", _PROBLEM)
    for name, schema in _schemas(operations).items():
        spec.components.schema(name, schema)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    for path, methods in paths.items():
        spec.path(path=path, operations=methods)
    return json.dumps(spec.to_dict(), indent=1, sort_keys=True).encode()


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    found: dict[type[BaseModel], Any] = {}
    for operation in operations:
        if operation.body is not None:
            found[operation.body] = "validation"
        if operation.answer is not None:
            found[operation.answer] = "serialization"
    _, defs = models_json_schema(list(found.items()), ref_template=REF)
    schemas: dict[str, Any] = defs["$defs"]
    return schemas


def _described(operation: Operation) -> dict[str, Any]:
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "security": [{"oauth": [operation.scope]}],
        "parameters": _parameters(operation),
        **({"requestBody": _body(operation)} if operation.body is not None else {}),
        "responses": _responses(operation),
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1}
    found = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in operation.parameters
    ]
    found += [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in operation.filters
    ]
    if operation.listed:
        limit = {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}
        found += [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "description": "`next` of the page before"},
            },
        ]
    if operation.guarded:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": text})
    if operation.tagged and operation.method == "GET":
        found.append({"name": "If-None-Match", "in": "header", "required": False, "schema": text})
    if operation.once:
        key = {"type": "string", "minLength": 1, "maxLength": 255}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
    return found


def _body(operation: Operation) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": _ref(operation.body)}}}


def _responses(operation: Operation) -> dict[str, Any]:
    done: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        schema = _ref(operation.answer)
        if operation.listed:
            schema = {
                "type": "object",
                "required": ["items", "next"],
                "properties": {
                    "items": {"type": "array", "items": schema},
                    "next": {"type": ["string", "null"]},
                },
            }
        done["content"] = {"application/json": {"schema": schema}}
    named = _headers(operation)
    if named:
        done["headers"] = {name: {"schema": {"type": "string"}} for name in named}
    unchanged = {"304": {"description": "Not changed since it was read"}}
    refused = {
        code: {
            "description": meaning,
            "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for code, meaning in MEANINGS.items()
    }
    conditional = operation.tagged and operation.method == "GET"
    return {str(operation.status): done, **(unchanged if conditional else {}), **refused}


def _headers(operation: Operation) -> tuple[str, ...]:
    tagged = ("ETag",) if operation.tagged else ()
    return (*tagged, *(("Location",) if operation.status == 201 else ()))


def _ref(model: type[BaseModel] | None) -> dict[str, Any]:
    return {} if model is None else {"$ref": REF.format(model=model.__name__)}


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "support_code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
