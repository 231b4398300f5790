"""What every section of the settings is: strict, frozen, documented where it is defined."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _iso8601(value: object) -> object:
    if isinstance(value, str) and value.lstrip("-").startswith("P"):
        return value
    if isinstance(value, timedelta):
        return value
    raise ValueError("write a duration as ISO 8601, such as PT5M or P30D")


Duration = Annotated[timedelta, BeforeValidator(_iso8601), Field(gt=timedelta(0))]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
