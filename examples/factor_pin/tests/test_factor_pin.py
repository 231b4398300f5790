"""What the provider relies on in every factor, and what only this one does.

pip install "idp[testing]" ./examples/factor_pin
pytest examples/factor_pin
"""

import pytest
from factor_pin import Pin

from idp.testing import factor_suite

TestPin = factor_suite(Pin, {"min_digits": 6}, answers=({"pin": "471147"}, {"pin": "852963"}))


@pytest.mark.parametrize("digits", [3, 9])
def test_a_length_out_of_range_is_refused(digits: int) -> None:
    with pytest.raises(ValueError, match="min_digits must be between 4 and 8"):
        Pin({"min_digits": digits})
