"""For tests of factors, and of what signs in with this provider.

`factor_suite` is the conformance kit for a factor of one's own. The pytest plugin (`plugin.py`)
gives the fixture `idp`: a running provider that people sign in at. pytest loads it in every run
where this package is installed, so nothing is imported before it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idp.testing.suite import factor_suite

__all__ = ["factor_suite"]


def __getattr__(name: str) -> Any:
    if name == "factor_suite":
        from idp.testing.suite import factor_suite

        return factor_suite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
