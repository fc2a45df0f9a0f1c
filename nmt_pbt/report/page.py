"""Writes the report of a run: one page that needs no network, its figures as files, and its tables as CSV."""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import refuse_links
from nmt_pbt.base.memory import garbage_collected_rarely
from nmt_pbt.base.text import counted
from nmt_pbt.base.yaml_text import dump_yaml
from nmt_pbt.report import tables
from nmt_pbt.report.answer import answer
from nmt_pbt.report.columns import SCHEMA_VERSION
from nmt_pbt.report.export import csv_text, frames, result_frames
from nmt_pbt.report.figures.fonts import missing_text
from nmt_pbt.report.figures.inline import inline_svg
from nmt_pbt.report.figures.palette import COLORS
from nmt_pbt.report.figures.style import render
from nmt_pbt.report.folder import check_folder, write_files
from nmt_pbt.report.gallery import Drawing, drawings
from nmt_pbt.report.labels import metric_label, range_text, value_label
from nmt_pbt.report.run import Run
from nmt_pbt.report.several import load_runs
from nmt_pbt.report.statistics import Results, population_methods, results_of
from nmt_pbt.report.words import TEMPLATES, label
from nmt_pbt.run.schedule import dump_schedule, found_schedule
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import is_unspaced

_SECTIONS = {
    "progress": "How good, for what it cost",
    "test": "On the test split",
    "population": "What the population did",
    "schedules": "Schedules",
    "values": "Values and scores",
    "time": "Time",
    "attention": "Attention",
}


@dataclass(frozen=True)
class _Shown:
    """A figure on the page: what was drawn, and its SVG as an element."""

    drawing: Drawing
    svg: Markup


@dataclass(frozen=True)
class _Figures:
    """All figures of a report, made.

    Attributes:
        files: As SVG and as PNG on a light and on a dark ground, by file name.
        sections: Name and title of each section of the page that has figures, and its figures.
        glyphs: The letters that the figures of the page share.
        missing: Characters that no font on this machine has.
    """

    files: dict[str, bytes]
    sections: list[tuple[str, str, list[_Shown]]]
    glyphs: Markup
    missing: frozenset[str]


@garbage_collected_rarely()
def write_report(
    runs: Path | str | Sequence[Path | str],
    out: Path | None = None,
    refresh: float | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Path:
    """Draw the report of a run, or of several together, from their directories alone, without TensorFlow.

    The same run gives the same bytes. Everything is made before anything is written, and each file is replaced in one
    step, the page last: a report that fails leaves the former one as it was.

    Args:
        runs: The run directory, of a finished run or one under way; or several.
        out: The folder to write to. Of an earlier report there, what it wrote is replaced; other files stay. Without
            it, `report` in the run, or for several runs a folder beside the first, named after all of them.
        refresh: Seconds after which the page loads itself again; None for a page that stays as it is.
        tell: Told, in a line, of characters that no font on this machine has; the page says it, too.

    Returns:
        The page, `index.html` in that folder.

    Raises:
        UsageError: A directory is not a run, nothing in it has been evaluated yet, several runs do not compare, or
            the folder to write to holds something else or leads out of the run.
        JournalError: A journal is damaged.
    """
    paths = [Path(runs)] if isinstance(runs, (str, Path)) else [Path(run) for run in runs]
    folder = out if out is not None else default_folder(paths)
    loaded = load_runs(paths)
    if out is None and len(paths) == 1:
        refuse_links(paths[0], "report", "report/figures")
    check_folder(folder)
    if loaded.winners.empty:
        raise UsageError(f"{loaded.path}: no model has been evaluated yet; try again after the first interval")
    found = results_of(loaded)
    # What a damaged run cannot tell is found out before anything is drawn, which takes longest.
    files = _data_files(found)
    schedules = _schedule_files(loaded)
    files.update(schedules)
    results, others = tables.summary(found), tables.other_comparisons(found)
    told = [*tables.comparisons(found), *tables.test_sets(loaded), tables.winners(loaded), *others]
    for table in (results, *told):
        files[f"{table.name}.md"] = tables.markdown(table).encode("utf-8")
        files[f"{table.name}.tex"] = tables.latex(table).encode("utf-8")
    context = {
        "run": loaded,
        "answer": answer(found),
        "results": results,
        "tables": told,
        "trials": tables.trials(loaded),
        "examples": list(_examples(loaded)),
        "signatures": _signatures(loaded),
        "about": [_about(part) for part in loaded.runs],
        "repeat": _repeat(loaded),
        "refresh": None if refresh is None else round(refresh),
        "data_files": sorted(name for name in files if name not in schedules),
        "schedules": list(schedules),
        "schema": SCHEMA_VERSION,
        "languages": _languages(loaded),
    }
    figures = _figures(found)
    files.update(figures.files)
    missing = missing_text(figures.missing)
    context.update(sections=figures.sections, glyphs=figures.glyphs, missing=missing)
    files["index.html"] = _page(context).encode("utf-8")
    page = write_files(folder, files)
    if missing:
        tell(missing)
    return page


def _figures(results: Results) -> _Figures:
    files: dict[str, bytes] = {}
    glyphs: dict[str, str] = {}
    missing: set[str] = set()
    shown: dict[str, list[_Shown]] = {section: [] for section in _SECTIONS}
    for drawing in drawings(results):
        made = render(drawing.draw, drawing.width, drawing.height, dark=True)
        missing |= made.missing
        files[f"figures/{drawing.name}.svg"] = made.file_svg.encode("utf-8")
        files[f"figures/{drawing.name}.png"] = made.png
        files[f"figures/{drawing.name}-dark.png"] = made.dark_png
        shown[drawing.section].append(_Shown(drawing, Markup(inline_svg(made.svg, drawing.name, glyphs))))
    return _Figures(
        files,
        [(name, title, shown[name]) for name, title in _SECTIONS.items() if shown[name]],
        Markup("\n".join(glyphs[name] for name in sorted(glyphs))),
        frozenset(missing),
    )


def _page(context: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    light, dark = (" ".join(f"--{name}: {pair[shade]};" for name, pair in COLORS.items()) for shade in (0, 1))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("index.html.jinja").render(
        **context,
        script=Markup(script),
        script_hash=digest,
        style=Markup(style.replace("/*light*/", light).replace("/*dark*/", dark)),
        label=label,
    )


def default_folder(runs: Sequence[Path]) -> Path:
    """Return where the report of these runs goes."""
    if len(runs) == 1:
        return runs[0] / "report"
    return runs[0].parent / f"report-{'-'.join(run.resolve().name for run in runs)}"


def _data_files(results: Results) -> dict[str, bytes]:
    """Return the run's tables as CSV files, by name."""
    tables = {**frames(results.run), **result_frames(results)}
    return {f"{name}.csv": csv_text(frame).encode("utf-8") for name, frame in tables.items()}


def _about(run: Run) -> dict[str, Any]:
    """Return what is told of a run besides its results."""
    return {
        "name": run.name,
        "facts": _facts(run),
        "space": [(value_label(name), range_text(domain)) for name, domain in run.space.items()],
        "settings": dump_yaml(dict(run.settings)),
        "environment": list(_flat(run.environment)),
    }


def _schedule_files(run: Run) -> dict[str, bytes]:
    """Return the schedules of the winners of all searches with a population as YAML files, by name."""
    found = {}
    for number, part in enumerate(run.runs, start=1):
        which = f"_{number}" if len(run.runs) > 1 else ""
        for method in population_methods(part):
            for seed in part.winners.loc[part.winners["method"] == method, "seed"]:
                schedule = found_schedule(part.records, method, int(seed), part.name)
                if schedule is not None:
                    found[f"schedule{which}_{method}_seed{seed}.yaml"] = dump_schedule(schedule).encode("utf-8")
    return found


def _examples(run: Run) -> Iterator[dict[str, Any]]:
    """Yield the sample sentences, each with the translation by each method's first winner, split by agreement."""
    first = {row["method"]: row["seed"] for row in reversed(run.tests.to_dict("records"))}
    if not run.samples or not first:
        return
    lines = {
        (row["method"], row["line"]): row["translation"]
        for row in run.translations.to_dict("records")
        if row["seed"] == first[row["method"]]
    }
    methods = [str(method) for method in dict.fromkeys(run.tests["method"])]
    corpus = run.settings.get("corpus")
    target = str(corpus.get("target_language", "")) if isinstance(corpus, Mapping) else ""
    between = "" if is_unspaced(target) else " "
    for sample in run.samples:
        translations = []
        for method in methods:
            text = lines.get((method, sample.line))
            if text is None:
                raise UsageError(
                    f"{run.path / 'translations' / 'sample.json'}: line {sample.line} is not in the translations by "
                    f"{method}; restore both from the same run"
                )
            translations.append((method, agreement(str(text), sample.reference, between)))
        yield {"sample": sample, "translations": translations, "between": between}


def agreement(translation: str, reference: str, between: str = " ") -> list[tuple[str, bool]]:
    """Split a translation into segments of words that are, or are not, in the reference in the same order.

    Args:
        translation: A sentence.
        reference: What it is compared with.
        between: What stands between words: a space, or nothing, when each character counts as a word.

    Returns:
        Pairs of text and whether it agrees; joined by `between` they are the translation's words.
    """
    words, others = (text.split() if between else list(text) for text in (translation, reference))
    matcher = difflib.SequenceMatcher(a=words, b=others, autojunk=False)
    found: list[tuple[str, bool]] = []
    place = 0
    for block in matcher.get_matching_blocks():
        if block.a > place:
            found.append((between.join(words[place : block.a]), False))
        if block.size:
            found.append((between.join(words[block.a : block.a + block.size]), True))
        place = block.a + block.size
    return found


def _signatures(run: Run) -> list[tuple[str, str]]:
    """Return sacrebleu's signature of each test metric; several where searches were scored differently."""
    return [
        (metric_label(metric), str(signature))
        for metric in run.tested_metrics
        if f"signature_{metric}" in run.tests
        for signature in dict.fromkeys(run.tests[f"signature_{metric}"].dropna())
    ]


def _facts(run: Run) -> list[tuple[str, str]]:
    first = run.searches.iloc[0]
    budget, epoch, interval = int(first["budget_pairs"]), int(first["pairs_per_epoch"]), int(first["interval_pairs"])
    own, epochs, every = not run.decodes, counted(budget / epoch, "epoch"), counted(interval / epoch, "epoch")
    corpus = run.settings.get("corpus")
    better = "higher" if first["direction"] == "max" else "lower"
    facts = [
        ("objective", f"{metric_label(str(first['objective']))}, {better} is better"),
        ("budget of a search", run.amount(budget) if own else f"{counted(budget, run.unit)}, {epochs} of {epoch:,}"),
        ("evaluated every", run.amount(interval) if own else f"{counted(interval, run.unit)}, {every}"),
        ("population", str(first["population"])),
        ("searches of each method", str(run.searches["seed"].nunique())),
        ("SHA-256 of the settings", run.started.settings),
        (f"SHA-256 of the {'data' if own else 'corpus'}", run.started.data),
    ]
    if isinstance(corpus, Mapping) and "name" in corpus:
        facts.insert(0, ("corpus", Path(str(corpus["name"])).name))
    return facts


def _repeat(run: Run) -> list[str]:
    """Return commands in which RUN stands for the run's folder: a page does not know where it will be read."""
    if not run.decodes:
        return ["nmt-pbt report RUN"]
    places = [f"RUN{number}" for number in range(1, len(run.runs) + 1)] if len(run.runs) > 1 else ["RUN"]
    commands = [f"nmt-pbt compare --config {place}/settings.yaml --out {place}-again" for place in places]
    commands += [
        f"nmt-pbt train --schedule {place}"
        for place, part in zip(places, run.runs, strict=True)
        if "pbt" in set(part.winners["method"])
    ]
    return [*commands, f"nmt-pbt report {' '.join(places)}"]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested names and values, names joined by spaces."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _languages(run: Run) -> dict[str, str]:
    """Return the language codes of source and target, to be read aloud rightly; empty where they are not codes."""
    corpus = run.settings.get("corpus")
    corpus = corpus if isinstance(corpus, Mapping) else {}
    codes = {side: str(corpus.get(f"{side}_language", "")) for side in ("source", "target")}
    return {side: code if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", code) else "" for side, code in codes.items()}
