"""What every section of the settings is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e6)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Part of a file's name; never a path out of the folder it is looked for in."""


class Section(BaseModel):
    """Settings that belong together: checked strictly, and not changed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    decides_nothing: ClassVar[frozenset[str]] = frozenset()
    """Settings that do not change what a search finds: a run may be continued with other ones"""
    earlier_values: ClassVar[Mapping[str, object]] = {}
    """Settings that came later than runs that there are, with what was in force in those: a fingerprint leaves them out
    at that value and at null, and the file of a run that does not name them means it, whatever the default is now"""


def add_section(kind: type[Section], name: str, section: type[Section]) -> None:
    """Give a class of settings one more section, and let the classes that hold it know.

    Args:
        kind: The class that gets the section.
        name: The section's name.
        section: The section's class; all its settings have defaults.
    """
    kind.model_fields[name] = FieldInfo(annotation=section, default_factory=section)
    changed = {kind}
    for changing in (kind, *_below(Section)):
        if changing is kind or any(field.annotation in changed for field in changing.model_fields.values()):
            if changing.__pydantic_complete__:
                changing.model_rebuild(force=True)
            changed.add(changing)


def _below(kind: type[Section]) -> Iterator[type[Section]]:
    """Yield all classes derived from one, in the order in which they were made as far as one line goes."""
    for derived in kind.__subclasses__():
        yield derived
        yield from _below(derived)
