"""The reference of all settings, made of their definitions: the classes derived from `Section`."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import math
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nmt_pbt.search.registry import Registry
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.tasks.translation.settings.sections import MUTABLE, STRUCTURAL
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

HEAD = """# Settings

<!-- Made by `make docs` from the settings' own definitions: edit those. -->

A run's settings are one tree. Each setting comes from the first of these that names it: `--set key=value` on the
command line (the key with dots, the value in YAML: `--set search.pbt.fraction=0.2`), an option of the command itself
(`--corpus`, `--seeds`), the YAML file after `--config`, and the default below. `compare` without `--config` uses
[nmt_pbt/embedded.yaml](../nmt_pbt/embedded.yaml), which trains a smaller model for fewer epochs. All settings of a run
are in its `settings.yaml`, which can be given to `--config`. A name that is not listed here is refused, and the message
suggests the nearest one. Every number has an upper bound, and a model that does not fit into this machine's memory is
refused before anything is built.

```sh
nmt-pbt compare --config configs/multi30k-small.yaml --set training.epochs=4 --set search.population=4
```

"""


def reference() -> str:
    """Return the whole document."""
    parts = [HEAD, *_section("", TranslationSettings), _space()]
    return "".join(parts).rstrip("\n") + "\n"


def _section(name: str, section: type[BaseModel]) -> Iterator[str]:
    """Yield a section's table, then its sub-sections."""
    descriptions = _descriptions(section)
    leaves = {key: field for key, field in section.model_fields.items() if not _is_section(field)}
    if name:
        yield f"## `{name}`\n\n{_words(inspect.getdoc(section) or '')}\n\n"
    if leaves:
        yield "| setting | takes | default | |\n| --- | --- | --- | --- |\n"
        for key, field in leaves.items():
            full = f"{name}.{key}" if name else key
            default = _cell(_default(field))
            described = _described(field, descriptions.get(key, ""))
            yield f"| `{full}` | {_cell(_kind(field))} | {default} | {_cell(described)} |\n"
        yield "\n"
    for key, field in section.model_fields.items():
        if _is_section(field):
            yield from _section(f"{name}.{key}" if name else key, _model(field))


def _descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Return what stands below each attribute of a class, and of those that it is derived from, in their source."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
            assert isinstance(definition, ast.ClassDef)
            for attribute, below in itertools.pairwise(definition.body):
                match attribute, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[name] = text
    return found


def _described(field: FieldInfo, description: str) -> str:
    """Return what a setting does; of one that names something registered, what each name means."""
    named = [bound for bound in _flat(field.metadata) if isinstance(bound, Registry)]
    meanings = "".join(f". `{spec.name}`: {spec.summary}" for registry in named for spec in registry)
    return _words(description) + meanings


def _space() -> str:
    """Return what a hyperparameter's range is made of."""
    text = "## A range in `search.space`\n\nEach hyperparameter to search has a name and a range, for instance\n\n"
    text += "```yaml\nsearch:\n  space:\n    learning_rate: {min: 3.0e-4, max: 1.0e-2, scale: log}\n"
    text += "    batch_size: {choices: [32, 64, 128]}\n```\n\n"
    text += f"Names that may change during training: {_listed(MUTABLE)}. Names that decide the model's shape, and stay "
    text += f"the same along a lineage: {_listed(STRUCTURAL)}. Also `epochs`, for the methods with constant "
    text += "values.\n\n"
    for title, domain in (("From a smallest to a largest value", NumberDomain), ("One of a list", ChoiceDomain)):
        text += f"### {title}\n\n| name | takes | default | |\n| --- | --- | --- | --- |\n"
        descriptions = _descriptions(domain)
        for key, field in domain.model_fields.items():
            row = (f"`{key}`", _cell(_kind(field)), _cell(_default(field)), _cell(_words(descriptions.get(key, ""))))
            text += f"| {' | '.join(row)} |\n"
        text += "\n"
    return text


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _is_section(field: FieldInfo) -> bool:
    return inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)


def _model(field: FieldInfo) -> type[BaseModel]:
    model = field.annotation
    assert model is not None
    return model


def _kind(field: FieldInfo) -> str:
    """Return in words what a setting takes."""
    return _type(field.annotation, field.metadata)


_NAMES = {float: "number", int: "whole number", str: "text", bool: "`true` or `false`", type(None): "`null`"}


def _type(kind: Any, bounds: list[Any]) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *bounds])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        if set(arguments) >= {str, int, float, bool}:
            return "value"
        words = [_type(argument, bounds if argument is not type(None) else []) for argument in arguments]
        return " or ".join(dict.fromkeys(words))
    if origin is list and inspect.isclass(arguments[0]) and issubclass(arguments[0], BaseModel):
        return f"list of {{{', '.join(arguments[0].model_fields)}}}"
    if origin is list:
        return f"list of {_plural(_type(arguments[0], []))}"
    if origin is dict:
        value = arguments[1]
        names = "names and ranges" if "Domain" in str(value) else f"names and {_plural(_type(value, []))}"
        return f"{names}, at least one" if any(isinstance(bound, MinLen) for bound in _flat(bounds)) else names
    for bound in _flat(bounds):
        if isinstance(bound, Registry):
            return ", ".join(f"`{name}`" for name in bound.names)
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return f"{{{', '.join([*kind.model_fields, '...'])}}}"
    words = _NAMES[kind]
    limits = [limit for bound in _flat(bounds) if (limit := _limit(bound))]
    return f"{words} {' and '.join(limits)}" if limits else words


def _flat(bounds: list[Any]) -> Iterator[Any]:
    """Yield constraints, also those that pydantic keeps inside a `Field`."""
    for bound in bounds:
        if isinstance(bound, FieldInfo):
            yield from _flat(bound.metadata)
        else:
            yield bound


def _limit(bound: Any) -> str:
    match bound:
        case Ge():
            return f"≥ {_number(bound.ge)}"
        case Gt():
            return f"> {_number(bound.gt)}"
        case Le():
            return f"≤ {_number(bound.le)}"
        case Lt():
            return f"< 2^{bound.lt.bit_length() - 1}" if bound.lt > 2**31 else f"< {bound.lt:g}"
        case MaxLen():
            return f"of at most {bound.max_length} characters"
    return ""


def _number(bound: float) -> str:
    """Return a bound as text: whole numbers with commas, powers of ten beyond a million as such."""
    size = abs(bound)
    if size > 1_000_000 and size == 10 ** round(math.log10(size)):
        return f"{'−' if bound < 0 else ''}10^{round(math.log10(size))}"
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def _plural(words: str) -> str:
    kind, *limits = words.split(" ≥ ")
    plural = {"text": "texts", "value": "values", "whole number": "whole numbers"}.get(kind, kind)
    return " ≥ ".join([plural, *limits])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "none: name it"
    if isinstance(value, dict) and value and isinstance(next(iter(value.values())), BaseModel):
        return ", ".join(f"`{name}` {_range(domain)}" for name, domain in value.items())
    text = f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if not isinstance(value, str) else f"`{value}`"


def _range(domain: BaseModel) -> str:
    if isinstance(domain, ChoiceDomain):
        return f"one of {', '.join(map(str, domain.choices))}"
    assert isinstance(domain, NumberDomain)
    return f"{domain.min:g} to {domain.max:g}{' (log)' if domain.scale == 'log' else ''}"


def _words(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
