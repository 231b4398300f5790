"""What is sent to the admin API, read strictly: JSON in UTF-8 (RFC 8259) as its model says."""

import json
import math
import re
from typing import Any, NoReturn

from flask import request
from pydantic import BaseModel, ValidationError

from idp.web.admin.problems import Problem, Violation

JSON = "application/json"
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what no database holds


def read(model: type[BaseModel]) -> BaseModel:
    """Raises Problem: 415, 400, or 422 with a pointer to each thing that will not do."""
    if request.mimetype != JSON:
        raise Problem(415, "media_type", f"Send {JSON}.")
    raw = request.get_data()
    try:
        text = raw.decode()
        json.loads(text, object_pairs_hook=_once, parse_constant=_no, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Problem(
            400, "not_json", "The body is not JSON in UTF-8, each member once, numbers finite."
        ) from None
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as problem:
        found = problem.errors(include_url=False, include_context=False, include_input=False)
        violations = [Violation(_pointer(e["loc"]), e["msg"]) for e in found]
        raise Problem(
            422, "invalid", "The body is not what this operation takes.", violations=violations
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two members of one name: who checks may look at one, and who writes at the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    for value in (*found.keys(), *_texts(list(found.values()))):
        if UNSTORABLE.search(value):
            raise ValueError("a character that no database holds")
    return found


def _texts(values: list[Any]) -> list[str]:
    """The texts in values and in arrays of them; objects were looked at when they ended."""
    found: list[str] = []
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            waiting += value
    return found


def _no(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number without end")
    return number


def _pointer(path: tuple[int | str, ...]) -> str:
    """RFC 6901 section 3."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
