"""Make a virtual environment, and say what to do when this Python cannot."""

import sys
import venv
from pathlib import Path


def main(target: str) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - an older one runs this very line
        print(
            f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. "
            "Name another one with: make PYTHON=python3.12 ...",
            file=sys.stderr,
        )
        return 1
    try:
        venv.create(Path(target), with_pip=True, symlinks=True)
    except Exception as problem:  # noqa: BLE001 - ensurepip fails in many ways; the cure is one
        print(
            f"cannot make {target}: {problem}\nOn Debian and Ubuntu: apt-get install python3-venv",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
