"""No number among the settings is without an upper bound: what no machine can bear is refused as settings are read."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from annotated_types import Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.base.types import Value
from nmt_pbt.cli.options import Beam, NoRepeatNgram
from nmt_pbt.run.preflight import check_memory, need_of
from nmt_pbt.space.settings import NumberDomain
from nmt_pbt.tasks.translation.footprint import state_bytes
from nmt_pbt.tasks.translation.settings.sections import EvaluationSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings


def constraints(metadata: list[Any]) -> Iterator[Any]:
    for one in metadata:
        yield from constraints(one.metadata) if isinstance(one, FieldInfo) else [one]


def numbers(kind: Any, metadata: list[Any]) -> Iterator[tuple[type, list[Any]]]:
    """Yield each type of number that a setting takes, with its bounds; hyperparameters' values have their own."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (int, float):
        yield kind, list(constraints(metadata))
    elif origin is Annotated:
        yield from numbers(arguments[0], [*arguments[1:], *metadata])
    elif origin in (Union, types.UnionType, list, dict) and kind != Value:
        for argument in arguments:
            yield from numbers(argument, metadata if origin in (Union, types.UnionType) else [])


def sections(kind: type[Section]) -> Iterator[type[Section]]:
    for derived in kind.__subclasses__():
        if derived.__module__.startswith("nmt_pbt."):
            yield derived
            yield from sections(derived)


def settings_of(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield the dotted name of every setting, its type and its bounds."""
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.annotation, field.metadata


FIELDS = {
    f"{section.__name__}.{name}": (annotation, metadata)
    for section in dict.fromkeys(sections(Section))
    for name, annotation, metadata in settings_of(section)
}
NUMBERS = {name: found for name, field in FIELDS.items() if (found := list(numbers(*field)))}


def huge() -> Iterator[tuple[str, str]]:
    """Yield settings with numbers that nothing can bear."""
    for name, annotation, metadata in settings_of(TranslationSettings):
        for kind, _ in numbers(annotation, metadata):
            value = str(10**26) if kind is int else "1e300"
            yield name, f"[{value}]" if get_origin(annotation) is list else value
    for name in ("min", "max", "step"):
        yield "search.space.dropout", f"{{min: 0, max: 0.5, {name}: 1e300}}"
    for name, value in (("batch_size", str(10**26)), ("units", str(10**26)), ("learning_rate", "1e300")):
        yield f"search.space.{name}", f"{{choices: [{value}]}}"
        yield "search.replay.schedule", f"[{{epochs: 1, values: {{{name}: {value}}}}}]"
    yield "search.replay.schedule", "[{epochs: 1e300, values: {dropout: 0.1}}]"


def test_the_walk_finds_settings_of_every_room() -> None:
    assert len(NUMBERS) > 50
    assert {"EngineSettings.threads", "PBTSettings.frequencies", "Segment.epochs", "NumberDomain.step"} < set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_among_the_settings_has_an_upper_bound(name: str) -> None:
    for _, bounds in NUMBERS[name]:
        assert any(isinstance(bound, (Le, Lt)) for bound in bounds)


@pytest.mark.parametrize(("name", "value"), dict.fromkeys(huge()))
def test_a_number_that_nothing_can_bear_is_refused_in_one_line(name: str, value: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(None, [f"{name}={value}"])
    line = str(refused.value)
    assert name in line or "segment 1 of the schedule" in line
    assert line.isprintable()
    assert len(line) < 300


@pytest.mark.parametrize("digits", [26, 400])
@pytest.mark.parametrize(
    "setting",
    [
        "search.grid.levels={{{name}: [{value}]}}",
        "search.manual.guesses=[{{{name}: {value}}}]",
        "search.pbt.initial=[{{{name}: {value}}}]",
    ],
)
@pytest.mark.parametrize("name", ["dropout", "batch_size", "units"])
def test_a_value_that_nothing_can_bear_is_refused_before_anything_is_built(
    name: str, setting: str, digits: int
) -> None:
    settings = load_settings(
        None,
        [
            "search.methods=[pbt, grid, manual]",
            "search.manual.guesses=[{}]",
            "search.space.units={min: 8, max: 64, integer: true}",
            setting.format(name=name, value=10**digits),
        ],
    )
    with pytest.raises(UsageError, match=name):
        settings.check_searches()


def test_a_grid_of_too_many_values_and_too_many_evaluations_are_refused() -> None:
    with pytest.raises(UsageError, match=r"search\.space\.dropout: step 1e-300 cuts the range into too many values"):
        load_settings(None, ["search.space.dropout={min: 0, max: 0.5, step: 1e-300}"])
    with pytest.raises(UsageError, match=r"search\.interval 1e-09: cuts training\.epochs 24 into more than 1,000,000"):
        load_settings(None, ["search.interval=1e-9"])
    NumberDomain(min=-1e15, max=1e15, integer=True, step=10)


@pytest.mark.parametrize(("name", "kind"), [("beam", Beam), ("no_repeat_ngram_size", NoRepeatNgram)])
def test_options_of_the_command_line_have_the_bounds_of_the_settings(name: str, kind: Any) -> None:
    (option,) = kind.__metadata__
    assert [bound.le for bound in EvaluationSettings.model_fields[name].metadata if isinstance(bound, Le)] == [
        option.max
    ]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (["model.units=16384", "model.decoder_layers=32"], "1 process with a model"),
        (["engine.name=ray", "engine.workers=10000"], "10,000 processes with a model"),
    ],
)
def test_what_does_not_fit_into_this_machines_memory_is_refused(assignments: list[str], told: str) -> None:
    settings = load_settings(None, assignments)
    with pytest.raises(UsageError, match=told):
        check_memory(need_of(settings, state_bytes(settings, 400)), settings.engine)
    check_memory(need_of(load_settings(), state_bytes(load_settings(), 400)), load_settings().engine)


def test_what_workers_of_a_cluster_have_is_not_known() -> None:
    settings = load_settings(None, ["engine.name=ray", "engine.workers=10000", "engine.address=auto"])
    check_memory(need_of(settings, state_bytes(settings, 400)), settings.engine)
