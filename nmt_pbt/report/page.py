"""Writes the report of a run: one page that needs no network, its figures as files, and its tables as CSV."""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from nmt_pbt.errors import UsageError
from nmt_pbt.files import refuse_links, replace_file
from nmt_pbt.journal import RunStarted
from nmt_pbt.report import statistics, tables
from nmt_pbt.report.answer import answer, main_metric, reference_method, value_text
from nmt_pbt.report.figures.inline import inline_svg
from nmt_pbt.report.figures.palette import COLORS
from nmt_pbt.report.figures.style import method_style, metric_label, render, value_label
from nmt_pbt.report.gallery import Drawing, drawings
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.report.series import SCHEMA_VERSION
from nmt_pbt.settings import ChoiceDomain, Domain
from nmt_pbt.yaml_text import dump_yaml

Progress = Callable[[int, int, str], None]
"""Told how many of how many figures are drawn, and the name of the next."""

_TEMPLATES = Path(__file__).parent / "templates"
_SECTIONS = {
    "progress": "How good, for what it cost",
    "test": "On the test split",
    "population": "What the population did",
    "schedules": "Schedules",
    "values": "Values and scores",
    "time": "Time",
}


@dataclass(frozen=True)
class _Shown:
    """A figure on the page: what was drawn, and its SVG as an element."""

    drawing: Drawing
    svg: Markup


def write_report(run: Path | str, progress: Progress | None = None) -> Path:
    """Draw the report of a run from its directory alone, without TensorFlow.

    The same run gives the same bytes. Everything is made before anything is written, and each file is replaced in one
    step, the page last: a report that fails leaves the former one as it was.

    Args:
        run: The run directory, of a finished run or one under way.
        progress: Told of every figure.

    Returns:
        The page, `report/index.html` in the run.

    Raises:
        UsageError: The directory is not a run, nothing in it has been evaluated yet, or its report leads elsewhere.
        JournalError: Its journal is damaged.
    """
    loaded = load_run(run)
    refuse_links(loaded.path, "report", "report/figures")
    if loaded.winners.empty:
        raise UsageError(f"{loaded.path}: no model has been evaluated yet; try again after the first interval")
    summary = statistics.summary(loaded)
    metrics = statistics.tested_metrics(loaded)
    reference = reference_method(loaded)
    pairs = {metric: statistics.comparisons(loaded, metric) for metric in metrics}
    with_reference = {metric: statistics.against(table, reference) for metric, table in pairs.items()}
    files: dict[str, bytes] = {}
    glyphs: dict[str, str] = {}
    shown: dict[str, list[_Shown]] = {section: [] for section in _SECTIONS}
    planned = drawings(loaded, summary, with_reference)
    for number, drawing in enumerate(planned):
        if progress is not None:
            progress(number, len(planned), drawing.name)
        made = render(drawing.draw, height=drawing.height, dark=True)
        files[f"figures/{drawing.name}.svg"] = made.file_svg.encode("utf-8")
        files[f"figures/{drawing.name}.png"] = made.png
        files[f"figures/{drawing.name}-dark.png"] = made.dark_png
        shown[drawing.section].append(_Shown(drawing, Markup(inline_svg(made.svg, drawing.name, glyphs))))
    if progress is not None:
        progress(len(planned), len(planned), "index.html")
    files.update(_data_files(loaded, summary, pairs))
    results = tables.results(loaded, summary)
    files["summary.md"] = tables.markdown(results).encode("utf-8")
    files["summary.tex"] = tables.latex(results).encode("utf-8")
    metric = main_metric(loaded)
    context = {
        "run": loaded,
        "answer": answer(loaded, summary, with_reference[metric] if metric is not None else pd.DataFrame()),
        "results": results,
        "tables": [tables.winners(loaded), *tables.comparisons(pairs)],
        "trials": tables.trials(loaded),
        "sections": [(name, title, shown[name]) for name, title in _SECTIONS.items() if shown[name]],
        "glyphs": Markup("\n".join(glyphs[name] for name in sorted(glyphs))),
        "examples": list(_examples(loaded)),
        "signatures": _signatures(loaded),
        "facts": _facts(loaded),
        "space": [(value_label(name), range_text(domain)) for name, domain in loaded.space.items()],
        "settings": dump_yaml(dict(loaded.settings)),
        "environment": list(_flat(loaded.environment)),
        "repeat": _repeat(loaded),
        "data_files": sorted(name for name in files if "/" not in name),
        "schema": SCHEMA_VERSION,
        "languages": _languages(loaded),
    }
    files["index.html"] = _page(context).encode("utf-8")
    return _write(loaded.path / "report", files)


def _page(context: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    style = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    light, dark = (" ".join(f"--{name}: {pair[shade]};" for name, pair in COLORS.items()) for shade in (0, 1))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("index.html.jinja").render(
        **context,
        script=Markup(script),
        script_hash=digest,
        style=Markup(style.replace("/*light*/", light).replace("/*dark*/", dark)),
        label=lambda method: method_style(method).label,
    )


def _data_files(run: Run, summary: pd.DataFrame, pairs: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return the run's tables as CSV files, by name."""
    frames = {
        "searches": run.searches,
        "trials": run.trials,
        "evaluations": run.evaluations,
        "best_so_far": run.best_so_far,
        "lineage": run.lineage,
        "winners": run.winners,
        "tests": run.tests,
        "time_spent": run.time_spent,
        "summary": summary,
        **{f"comparisons_{metric}": table for metric, table in pairs.items()},
    }
    return {
        f"{name}.csv": frame.to_csv(index=False, lineterminator="\n").encode("utf-8") for name, frame in frames.items()
    }


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
    for sample in run.samples:
        translations = []
        for method in methods:
            text = lines.get((method, sample.line))
            if text is None:
                raise UsageError(
                    f"{run.path / 'translations' / 'sample.json'}: line {sample.line} is not in the translations by "
                    f"{method}; restore both from the same run"
                )
            translations.append((method, agreement(str(text), sample.reference)))
        yield {"sample": sample, "translations": translations}


def agreement(translation: str, reference: str) -> list[tuple[str, bool]]:
    """Split a translation into stretches of words that are, or are not, in the reference in the same order.

    Args:
        translation: A sentence.
        reference: What it is compared with.

    Returns:
        Pairs of text and whether it agrees; joined by spaces they are the translation's words.
    """
    words = translation.split()
    matcher = difflib.SequenceMatcher(a=words, b=reference.split(), autojunk=False)
    found: list[tuple[str, bool]] = []
    place = 0
    for block in matcher.get_matching_blocks():
        if block.a > place:
            found.append((" ".join(words[place : block.a]), False))
        if block.size:
            found.append((" ".join(words[block.a : block.a + block.size]), True))
        place = block.a + block.size
    return found


def _signatures(run: Run) -> list[tuple[str, str]]:
    """Return sacrebleu's signature of each test metric; several where searches were scored differently."""
    return [
        (metric_label(metric), str(signature))
        for metric in statistics.tested_metrics(run)
        for signature in dict.fromkeys(run.tests[f"signature_{metric}"].dropna())
    ]


def _facts(run: Run) -> list[tuple[str, str]]:
    first = run.searches.iloc[0]
    budget, epoch, interval = int(first["budget"]), int(first["epoch"]), int(first["interval_pairs"])
    started = next(record for record in run.records if isinstance(record, RunStarted))
    corpus = run.settings.get("corpus")
    better = "higher" if first["direction"] == "max" else "lower"
    facts = [
        ("objective", f"{metric_label(str(first['objective']))}, {better} is better"),
        ("budget of a search", f"{budget:,} sentence pairs, {budget / epoch:g} epochs of {epoch:,}"),
        ("evaluated every", f"{interval:,} sentence pairs, {interval / epoch:g} of an epoch"),
        ("population", str(first["population"])),
        ("searches of each method", str(run.searches["seed"].nunique())),
        ("SHA-256 of the settings", started.settings),
        ("SHA-256 of the corpus", started.corpus),
    ]
    if isinstance(corpus, Mapping) and "name" in corpus:
        facts.insert(0, ("corpus", Path(str(corpus["name"])).name))
    return facts


def range_text(domain: Domain) -> str:
    """Return a hyperparameter's range in words."""
    if isinstance(domain, ChoiceDomain):
        return ", ".join(value_text(value) for value in domain.choices)
    kind = "whole numbers" if domain.integer else "on a log scale" if domain.scale == "log" else ""
    step = f"in steps of {domain.step:g}" if domain.step is not None else ""
    return " ".join(filter(None, [f"{domain.min:g} to {domain.max:g}", kind, step]))


def _repeat(run: Run) -> list[str]:
    command = "train" if set(run.searches["method"]) == {"manual"} else "compare"
    place = f"results/{run.name}"
    return [f"nmt-pbt {command} --config {place}/settings.yaml --out {place}-again", f"nmt-pbt report {place}"]


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


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files, the page last, and remove figures and tables of an earlier report that are not among them."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name == "index.html", name)):
        path = folder / name
        if path.exists() and path.read_bytes() == files[name]:
            continue
        replace_file(path, files[name])
    stale = [*folder.glob("*.csv"), *(folder / "figures").glob("*.png"), *(folder / "figures").glob("*.svg")]
    for path in stale:
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    return folder / "index.html"
