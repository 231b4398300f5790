"""Commands as a shell runs them: through `main`, with its exit codes, on real SQLite."""

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idp.cli import main

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in [name for name in os.environ if name.startswith("IDP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IDP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("IDP_DEV", "true")

    def invoke(*arguments: str, stdin: str = "", terminal: bool = False) -> Result:
        monkeypatch.setattr(sys, "argv", ["idp", *arguments])
        monkeypatch.setattr(sys, "stdin", Terminal(stdin) if terminal else io.StringIO(stdin))
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(code, out, err)

    return invoke


@pytest.fixture
def ana(run: Run) -> str:
    added = run("user", "add", "ana", "--password-stdin", "--json", stdin=PASSWORD + "\n")
    return str(added.json["sub"])
