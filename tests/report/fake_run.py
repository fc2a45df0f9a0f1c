"""Made-up runs to draw reports of. Nothing in them was trained: scores come from a formula with noise."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nmt_pbt.base.randomness import generator
from nmt_pbt.base.types import Value
from nmt_pbt.run.records import (
    AnyRecord,
    Assigned,
    Ended,
    Evaluated,
    RunStarted,
    SearchEnded,
    SearchStarted,
    Seconds,
    Tested,
)
from nmt_pbt.run.schedule import found_schedule
from nmt_pbt.search.methods.replay import final_values, lengthened
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.space.settings import NumberDomain
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention, attention_path, write_attention
from nmt_pbt.tasks.translation.scoring.significance import corpus_scores, counts_path, sentence_counts, write_counts
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

EPOCH = 10_000
WORDS = [
    *("ein", "eine", "der", "die", "das", "mann", "frau", "hund", "kind"),
    *("zwei", "drei", "auf", "in", "mit", "vor", "und", "rotes", "blaues"),
    *("kleiner", "großer", "läuft", "spielt", "steht", "sitzt", "springt", "ball", "straße"),
    *("wiese", "wasser", "haus", "tisch", "fahrrad", "hemd", "während", "über", "neben"),
    *("junge", "mädchen", "<b>", "&", "ß"),
]
SIGNATURES = {
    "bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
    "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0",
}


@dataclass
class FakeModel:
    """What a real model's weights would be: how far it has come, and how much it has memorised."""

    skill: float = 0.0
    trained_pairs: int = 0

    def train(self, values: dict[str, Value], epochs: float) -> None:
        """Move towards what these values can reach; the best rate falls and the best dropout rises with age."""
        done = self.trained_pairs / EPOCH
        best_rate = -5.3 - 0.3 * done
        rate = (math.log(float(values["learning_rate"])) - best_rate) ** 2
        dropout = (float(values["dropout"]) - min(0.5, 0.05 + 0.07 * done)) ** 2
        recurrent = (float(values["recurrent_dropout"]) - 0.15) ** 2
        batch = (math.log2(float(values["batch_size"])) - 5) ** 2
        reach = 41.0 - 2.0 * rate - 45.0 * dropout - 14.0 * recurrent - 0.35 * batch
        self.skill += (max(reach, 0.5) - self.skill) * (1 - math.exp(-0.45 * epochs))
        self.trained_pairs += round(epochs * EPOCH)


@dataclass
class _Search:
    """Writes the records of one made-up search."""

    method: str
    seed: int
    settings: TranslationSettings
    random: np.random.Generator
    records: list[AnyRecord] = field(default_factory=list)
    spent_pairs: int = 0
    clock: float = 1_700_000_000.0
    best: tuple[float, str, int, int] = (-math.inf, "", 0, 0)

    def draw(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, domain in self.settings.search.space.items():
            if not isinstance(domain, NumberDomain):
                values[name] = domain.choices[int(self.random.integers(len(domain.choices)))]
            elif domain.scale == "log":
                values[name] = float(np.exp(self.random.uniform(np.log(domain.min), np.log(domain.max))))
            else:
                values[name] = float(self.random.uniform(domain.min, domain.max))
        return values

    def explore(self, values: dict[str, Value]) -> dict[str, Value]:
        fresh, changed = self.draw(), dict(values)
        for name, domain in self.settings.search.space.items():
            up = bool(self.random.integers(2))
            if self.random.random() < 0.2:
                changed[name] = fresh[name]
            elif not isinstance(domain, NumberDomain):
                place = domain.choices.index(values[name]) + (1 if up else -1)
                changed[name] = domain.choices[min(max(place, 0), len(domain.choices) - 1)]
            else:
                value = float(values[name])
                step = 0.12 * (domain.max - domain.min)
                moved = value * (1.3 if up else 1 / 1.3) if domain.scale == "log" else value + (step if up else -step)
                changed[name] = min(max(moved, domain.min), domain.max)
        return changed

    def assign(self, trial: str, values: dict[str, Value], pairs: int, **more: object) -> None:
        self.clock += 0.01
        given = {"method": self.method, "seed": self.seed, "trial": trial, "worker": "worker-0", "time": self.clock}
        self.records.append(Assigned.model_validate({**given, "values": values, "pairs": pairs, **more}))

    def evaluate(self, trial: str, interval: int, model: FakeModel, values: dict[str, Value], failed: bool) -> float:
        epochs = self.settings.search.interval
        model.train(values, epochs)
        self.spent_pairs += round(epochs * EPOCH)
        score = math.nan if failed else max(0.0, model.skill + float(self.random.normal(0, 0.25)))
        if score > self.best[0]:
            self.best = score, trial, interval, model.trained_pairs
        train = 20.0 + 240.0 / float(values["batch_size"]) + float(self.random.uniform(0, 2))
        seconds = Seconds(load=0.02, train=train, evaluate=2.4, save=0.15, decide=0.02, idle=0.01)
        if self.method == "bayes" and interval == 0:
            seconds = seconds.model_copy(update={"decide": 3.1})
        self.clock += sum(seconds.model_dump().values())
        missing = math.isnan(score)
        loss = None if missing else 6.5 - 0.12 * score
        metrics = {
            "train_loss": loss,
            "val_loss": None if loss is None else loss + 0.3,
            "val_bleu": None if missing else round(score, 4),
            "val_chrf": None if missing else round(22 + 0.95 * score, 4),
        }
        failure = "nan" if missing else None
        self.records.append(
            Evaluated(
                **{
                    "method": self.method,
                    "seed": self.seed,
                    "trial": trial,
                    "interval_index": interval,
                    "time": self.clock,
                },
                **{
                    "trained_pairs": model.trained_pairs,
                    "spent_pairs": self.spent_pairs,
                    "metrics": metrics,
                    "seconds": seconds,
                    "failure": failure,
                },
            )
        )
        return score

    def end(self, trial: str, failed: bool) -> None:
        status, reason = ("failed", "nan: the loss is <not> a number") if failed else ("completed", "")
        self.records.append(
            Ended(
                **{"method": self.method, "seed": self.seed, "trial": trial, "time": self.clock},
                **{"status": status, "reason": reason},
            )
        )

    def start(self) -> None:
        search, epochs = self.settings.search, self.settings.training.epochs
        self.records.append(
            SearchStarted(
                **{"method": self.method, "seed": self.seed, "objective": search.objective, "direction": "max"},
                **{
                    "budget_pairs": round(search.population * epochs * EPOCH),
                    "interval_pairs": round(search.interval * EPOCH),
                },
                **{"pairs_per_epoch": EPOCH, "population": search.population, "time": self.clock},
            )
        )


def _population(search: _Search, adopt: bool, explore: bool) -> None:
    """Truncation selection over generations, the first member failing once."""
    settings = search.settings
    size = settings.search.population
    generations = round(settings.training.epochs / settings.search.interval)
    pairs = round(settings.search.interval * EPOCH)
    models = [FakeModel() for _ in range(size)]
    values = [search.draw() for _ in range(size)]
    held: list[str | None] = [None] * size
    scores = [math.nan] * size
    number = 0
    for generation in range(generations):
        ranked = sorted(range(size), key=lambda member: -math.inf if math.isnan(scores[member]) else scores[member])
        before = [
            (FakeModel(model.skill, model.trained_pairs), dict(its), trial)
            for model, its, trial in zip(models, values, held, strict=True)
        ]
        cut = max(1, size // 3)
        for member in range(size):
            parent, inherited = held[member], False
            if adopt and generation and member in ranked[:cut]:
                donor = int(search.random.choice(ranked[-cut:]))
                models[member] = FakeModel(before[donor][0].skill, before[donor][0].trained_pairs)
                values[member] = search.explore(before[donor][1]) if explore else dict(before[donor][1])
                parent, inherited = before[donor][2], True
            elif explore and not adopt and generation:
                values[member] = search.explore(values[member])
            trial = f"{number:04d}"
            number += 1
            failed = adopt and member == 0 and generation == 2  # whoever fails adopts next; explore alone has nobody to
            place = {"member": member, "generation": generation, "parent": parent, "inherited": inherited}
            search.assign(trial, values[member], pairs, **place)
            scores[member] = search.evaluate(trial, 0, models[member], values[member], failed)
            search.end(trial, failed)
            held[member] = trial


def _baseline(search: _Search) -> None:
    settings = search.settings
    intervals = round(settings.training.epochs / settings.search.interval)
    found: list[tuple[float, dict[str, Value]]] = []
    for number in range(settings.search.population):
        values = search.draw()
        if search.method == "grid":
            values.update(learning_rate=(1e-3, 5e-3)[number % 2], dropout=(0.1, 0.3, 0.5)[number // 2 % 3])
            values.update(recurrent_dropout=0.0, batch_size=32)
        elif search.method == "bayes" and number >= settings.search.population // 2:
            values = search.explore(max(found, key=lambda item: item[0])[1])
        elif search.method == "manual":
            values = {"learning_rate": 2e-3, "dropout": 0.2, "recurrent_dropout": 0.1, "batch_size": 32}
        failed = search.method == "random" and number == 1 and search.seed == 0
        search.assign(f"{number:04d}", values, round(settings.training.epochs * EPOCH))
        model, score = FakeModel(), math.nan
        for interval in range(2 if failed else intervals):
            score = search.evaluate(f"{number:04d}", interval, model, values, failed and interval == 1)
        found.append((-math.inf if math.isnan(score) else score, values))
        search.end(f"{number:04d}", failed)


def _replay(search: _Search, records: Sequence[AnyRecord]) -> None:
    """Models from fresh weights by what PBT found, or by its last values."""
    found = found_schedule(records, "pbt", search.seed, "fake")
    assert found is not None
    settings = search.settings
    segments = lengthened(found.plain, settings.training.epochs)
    if search.method == "final-values":
        segments = final_values(segments)
    number = 0
    for member in range(settings.search.population):
        model, parent = FakeModel(skill=float(search.random.normal(0, 1))), None
        for generation, segment in enumerate(segments):
            trial = f"{number:04d}"
            number += 1
            place = {"member": member, "generation": generation, "parent": parent}
            search.assign(trial, segment.values, round(segment.epochs * EPOCH), **place)
            for interval in range(round(segment.epochs / settings.search.interval)):
                search.evaluate(trial, interval, model, segment.values, False)
            search.end(trial, False)
            parent = trial


def _translations(references: Sequence[str], bleu: float, random: np.random.Generator) -> list[str]:
    wrong = min(0.9, max(0.0, 1 - (max(bleu, 0.1) / 100) ** 0.4))
    texts = []
    for reference in references:
        words = [word if random.random() > wrong else WORDS[random.integers(len(WORDS))] for word in reference.split()]
        texts.append(" ".join(words))
    return texts


def write_fake_run(
    path: Path,
    methods: Sequence[str] = ("pbt", "random", "grid", "bayes"),
    seeds: int = 1,
    population: int = 6,
    epochs: float = 8.0,
    sentences: int = 400,
    tested: bool = True,
) -> Path:
    """Write the directory of a run that never happened.

    Args:
        path: Where; made.
        methods: Methods of the run.
        seeds: Searches of each.
        population: Members, and trials of each baseline.
        epochs: Of each member.
        sentences: Test sentences.
        tested: Whether the searches are over and their winners tested.

    Returns:
        `path`.
    """
    tree = {"name": path.name, "search": {"methods": list(methods), "population": population, "seeds": seeds}}
    settings = TranslationSettings.model_validate({**tree, "training": {"epochs": epochs}})
    (path / "translations").mkdir(parents=True)
    (path / "settings.yaml").write_text(dump_settings(settings), encoding="utf-8")
    environment = {"python": "3.11.7", "packages": {"nmt-pbt": "0.1.0", "sacrebleu": "2.6.0"}, "commit": "0" * 40}
    (path / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    random = generator(0, "references")
    references = [" ".join(random.choice(WORDS, random.integers(4, 16))) + "." for _ in range(sentences)]
    sample = [
        {"line": n, "source": f"A made-up source sentence <{n}>.", "reference": references[n]} for n in (3, 40, 77)
    ]
    (path / "translations" / "sample.json").write_text(json.dumps(sample, ensure_ascii=False), encoding="utf-8")
    records: list[AnyRecord] = [RunStarted(settings="0" * 64, data="1" * 64, time=1_700_000_000.0)]
    for seed in range(seeds):
        for method in methods:
            search = _Search(method, seed, settings, generator(seed, "fake", method))
            search.start()
            if method in ("pbt", "exploit-only", "explore-only"):
                _population(search, adopt=method != "explore-only", explore=method != "exploit-only")
            elif method in ("replay", "final-values"):
                _replay(search, records)
            else:
                _baseline(search)
            if tested:
                search.records.append(_test(search, path, references))
            records += search.records
    text = "".join(record.model_dump_json() + "\n" for record in records)
    (path / "journal.jsonl").write_text(text, encoding="utf-8")
    return path


def _attention(texts: Sequence[str], lines: Sequence[int]) -> list[SentenceAttention]:
    """Attention near the diagonal, over a source of as many subwords."""
    found = []
    for line in lines:
        target = [f"▁{word}" for word in texts[line].split()] + ["</s>"]
        source = [f"▁source{number}" for number in range(len(target) - 1)] + ["</s>"]
        near = np.exp(-np.abs(np.subtract.outer(np.arange(len(target)), np.arange(len(source)))).astype(float))
        found.append(SentenceAttention(line, source, target, near / near.sum(axis=1, keepdims=True)))
    return found


def _test(search: _Search, path: Path, references: Sequence[str]) -> Tested:
    method, seed = search.method, search.seed
    search.records.append(SearchEnded(method=method, seed=seed, spent_pairs=search.spent_pairs, time=search.clock))
    score, trial, interval, age = search.best
    texts = _translations(references, score, generator(seed, "translations", method))
    file = path / "translations" / f"{method}-seed{seed}.txt"
    file.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    write_attention(attention_path(file), _attention(texts, (3, 40)))
    counts = sentence_counts(texts, references)
    write_counts(counts_path(file), counts)
    return Tested(
        **{
            "method": method,
            "seed": seed,
            "trial": trial,
            "interval_index": interval,
            "trained_pairs": age,
            "time": search.clock,
        },
        dev={"train_loss": 6.5 - 0.12 * score, "val_bleu": score, "val_chrf": 22 + 0.95 * score},
        test={metric: float(corpus_scores(metric, rows.sum(axis=0))) for metric, rows in counts.items()},
        signatures=SIGNATURES,
        outputs=f"translations/{file.name}",
        seconds=6.0,
    )
