"""The schema's history. `HEAD` names its end, so that starting up need not load Alembic.

A new revision is a file in `versions/` named after it, `0002_what_changes.py`, whose number
becomes HEAD. It runs forward on both databases and leaves the previous release working.
"""

from pathlib import Path
from typing import Final

HEAD: Final = "0002"


def knows(revision: str) -> bool:
    """Whether it belongs to this code's history."""
    versions = Path(__file__).parent / "versions"
    return revision in {path.name.partition("_")[0] for path in versions.glob("[0-9]*.py")}
