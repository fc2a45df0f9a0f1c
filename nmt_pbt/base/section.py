"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Part of a file's name; never a path out of the folder it is looked for in."""


class Section(BaseModel):
    """Settings that belong together: checked strictly, and not changed once made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    decides_nothing: ClassVar[frozenset[str]] = frozenset()
    """Settings that do not change what a search finds: a run may be continued with other ones"""
