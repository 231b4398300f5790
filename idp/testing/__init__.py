"""For tests of factors, and of what signs in with this provider.

`factor_suite` is the conformance kit for a factor of one's own. The pytest plugin (`plugin.py`)
gives the fixture `idp`: a running provider that people sign in at.
"""

from idp.testing.suite import factor_suite

__all__ = ["factor_suite"]
