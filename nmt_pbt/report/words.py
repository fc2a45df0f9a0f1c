"""The report's words. Each sentence is a template; what it says is computed elsewhere and handed to it by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from nmt_pbt.base.text import counted
from nmt_pbt.report import labels
from nmt_pbt.report.methods import method_info

if TYPE_CHECKING:
    from nmt_pbt.report.run import Run

TEMPLATES = Path(__file__).parent / "templates"


def say(sentence: str, **facts: Any) -> str:
    """Return a sentence.

    Args:
        sentence: The name of a macro in `templates/sentences.jinja`.
        facts: What the macro asks for.

    Returns:
        One line; what the template breaks into lines is joined.
    """
    return _joined(_made("sentences.jinja", sentence, facts))


def paragraphs(name: str, **facts: Any) -> tuple[str, ...]:
    """Return what is said of a figure or table: of a figure title, caption and alternative text, of a table two.

    Args:
        name: The name of a macro in `templates/captions.jinja`, whose paragraphs are separated by blank lines.
        facts: What the macro asks for.
    """
    return tuple(_joined(text) for text in re.split(r"\n\s*\n", _made("captions.jinja", name, facts).strip()))


def label(method: str) -> str:
    """Return a method's name in words."""
    return method_info(method).label


def search_names(run: Run, rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return the names of searches, those of one method together: `PBT`, `Random (seeds 0 and 2)`.

    Args:
        run: The run.
        rows: One for each search, with its `method` and `seed`.
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(str(row["seed"]))
    searches_of = run.searches["method"].value_counts()
    return [
        say("search_of_several", method=method, seeds=seeds) if len(seeds) < searches_of[method] else label(method)
        for method, seeds in found.items()
    ]


def _made(file: str, macro: str, facts: dict[str, Any]) -> str:
    return str(getattr(_environment().get_template(file).module, macro)(**facts))


def _joined(text: str) -> str:
    return " ".join(text.split())


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # plain text; the page escapes it
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        label=label,
        metric=labels.metric_label,
        hyperparameter=labels.value_label,
        value=labels.value_text,
        score=labels.score_text,
        signed=labels.signed,
        percent=labels.percent,
        p=labels.p_text,
        listed=labels.listed,
        counted=counted,
    )
    return environment
