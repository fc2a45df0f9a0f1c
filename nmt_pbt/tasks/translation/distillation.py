"""A corpus with translations as its targets: sequence-level distillation (Kim & Rush 2016, arXiv 1606.07947).

Together with the translations of a reverse model it is data diversification (Nguyen et al. 2020, arXiv 1911.01986).

The text is translated in parts. Each finished part is a file in the work folder, so that a killed command goes on with
the parts that are left. The sentences of a part, and so the batches in which they are decoded, do not depend on the
number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nmt_pbt.base.environment import changes_since, environment
from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import TEMPORARY, check_new_folder, held, read_json, refuse_links, replace_file, replacing
from nmt_pbt.tasks.translation.corpus.flat import TextLines, encoded_lines, selected_lines
from nmt_pbt.tasks.translation.corpus.parallel import Corpus
from nmt_pbt.tasks.translation.corpus.subwords import Subwords
from nmt_pbt.tasks.translation.corpus.text_file import file_content
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from nmt_pbt.tasks.translation.teachers import Part, Teacher

RECORD = "distillation.json"
"""File of a distilled corpus that tells what made it."""
_PART_SENTENCES = 1024  # of a part, at most
_LEAST_SENTENCES = 128  # of a part, at least: a batch
_PARTS_WANTED = 64  # of a small text, so that many cores have something to do
_LOCK = "lock"
_CORPUS = "corpus"  # where the corpus is put together within the work's folder
_PAIRS = "pairs"  # in the record of a finished corpus alone
_PARTS = "*-[0-9][0-9][0-9][0-9][0-9][0-9].txt"


@dataclass(frozen=True)
class PairCounts:
    """Training pairs of a distilled corpus.

    Attributes:
        original: Pairs of the run's own corpus.
        forward: Pairs whose target was translated.
        reverse: Pairs whose source was translated.
        too_long: Pairs of the run's corpus that were not translated because the run left them out as too long.
        empty: Empty translations, which were left out.
    """

    original: int
    forward: int
    reverse: int
    too_long: int
    empty: int

    @property
    def total(self) -> int:
        """All training pairs."""
        return self.original + self.forward + self.reverse


@dataclass(frozen=True)
class Distillation:
    """A distilled corpus in the making.

    Attributes:
        corpus: The run's corpus.
        forward: Translates its training text.
        reverse: Translates the targets of its training text back; None: nothing does.
        with_original: Whether the run's own training pairs are added to the translated ones.
        out: The folder of the distilled corpus, which appears when it is complete.
    """

    corpus: Corpus
    forward: Teacher
    reverse: Teacher | None
    with_original: bool
    out: Path

    @property
    def work(self) -> Path:
        """The folder that holds finished parts until the corpus is complete."""
        return work_folder(self.out)

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """All that translate."""
        return (self.forward,) if self.reverse is None else (self.forward, self.reverse)

    @property
    def sentences(self) -> int:
        """How many sentences all teachers together have to translate."""
        return len(self.teachers) * len(self._kept)

    @cached_property
    def _settings(self) -> TranslationSettings:
        return self.forward.models[0].settings

    @cached_property
    def _kept(self) -> np.ndarray:
        """Places of the training pairs that the run trained on; the models have seen no longer ones."""
        model = self.forward.models[0]
        (subwords_file,) = TranslationSettings.model_files
        subwords, longest = Subwords.load((model.run / subwords_file).read_bytes()), self._settings.corpus.max_length
        train = self.corpus.train
        return np.flatnonzero(
            [
                subwords.count(source) <= longest and subwords.count(target) <= longest
                for source, target in zip(train.source, train.target, strict=True)
            ]
        )

    @property
    def _part_size(self) -> int:
        """Sentences of a part. It must not depend on the number of workers."""
        return min(_PART_SENTENCES, max(_LEAST_SENTENCES, len(self._kept) // _PARTS_WANTED))

    def _text(self, teacher: Teacher) -> tuple[Sequence[str], np.ndarray]:
        """Return what a teacher translates, and in which order: the longest first, so that no part is long at the end.

        Sentences of like length meet in a batch.
        """
        side = self.corpus.train.source if teacher is self.forward else self.corpus.train.target
        lines = selected_lines(side, self._kept.tolist())
        return lines, np.argsort([-len(line) for line in lines], kind="stable")

    def parts(self, teacher: Teacher) -> Iterator[Part]:
        """Yield the parts that a teacher has yet to translate."""
        lines, order = self._text(teacher)
        for number, begin in enumerate(range(0, len(order), self._part_size)):
            name = f"{teacher.name}-{number:06}"
            if not (self.work / f"{name}.txt").exists():
                yield Part(name, tuple(lines[place] for place in order[begin : begin + self._part_size].tolist()))

    def parts_left(self, teacher: Teacher) -> int:
        """Return how many parts a teacher has yet to translate."""
        parts = -(-len(self._kept) // self._part_size)
        return parts - len(list(self.work.glob(f"{teacher.name}-*.txt")))

    def keep(self, part: Part, translations: Sequence[str]) -> None:
        """Write the translations of a part into the work's folder."""
        replace_file(self.work / f"{part.name}.txt", "".join(line + "\n" for line in translations).encode("utf-8"))

    def done(self) -> int:
        """Return how many sentences are translated."""
        count, size = len(self._kept), self._part_size
        last = (count - 1) // size
        files = self.work.glob(_PARTS)
        numbers = [int(file.stem.rpartition("-")[2]) for file in files]
        return sum(count - last * size if number == last else size for number in numbers)

    def is_there(self) -> bool:
        """Return whether the corpus is complete already, made by the same models in the same way.

        Raises:
            UsageError: The folder is there and holds something else, or cannot be made.
        """
        if not (self.out / RECORD).is_file():
            check_new_folder(self.out)
            return False
        if difference := _difference(_read(self.out / RECORD), self.described):
            raise UsageError(f"{self.out}: is there already, and {difference}; give another --out")
        return True

    @contextmanager
    def working(self) -> Iterator[None]:
        """Begin the work folder or go on with it, and keep other processes out.

        Raises:
            UsageError: The folder holds something else, was begun in another way, or another process works in it.
        """
        record, begin_anew = self.work / RECORD, f"delete {self.work} to begin anew, or give another --out"
        self._check_own()
        self.work.mkdir(exist_ok=True)
        refuse_links(self.work)
        with held(self.work / _LOCK, f"{self.work}: another process is at work here; wait for it or stop it"):
            if not record.exists():
                _write_record(record, {"corpus": self.corpus.name, **self.described, "environment": environment()})
            found = _read(record)
            then = found.get("environment")
            changes = changes_since(then if isinstance(then, Mapping) else {})
            if difference := _difference(found, self.described) or "; ".join(changes):
                raise UsageError(f"{self.work}: was begun otherwise ({difference}); {begin_anew}")
            for left in self.work.glob(TEMPORARY):
                left.unlink()
            yield

    def _check_own(self) -> None:
        """Refuse a folder that is not one of finished parts, made by this program."""
        if not (self.work.exists() or self.work.is_symlink()) or _is_begun(self.work):
            return
        if (self.work / RECORD).is_file():
            raise UsageError(f"{self.work}: holds a finished corpus; move it away, or give another --out")
        left = {_LOCK, *(file.name for file in self.work.glob(TEMPORARY))}  # of a process killed as it began
        if not self.work.is_dir() or any(file.name not in left for file in self.work.iterdir()):
            raise UsageError(f"{self.work}: holds no distillation; move it away, or give another --out")

    def finish(self) -> PairCounts:
        """Put the corpus together from its parts and move it to its folder."""
        folder, languages = self.work / _CORPUS, self._settings.corpus
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        train = self.corpus.train
        sides: list[tuple[Sequence[str], Sequence[str]]] = []
        if self.with_original:
            sides.append((train.source, train.target))
        made: dict[str, int] = {}
        for teacher in self.teachers:
            translations = self._translations(teacher)
            written = [place for place, line in enumerate(translations) if line.strip()]
            made[teacher.name] = len(written)
            given = train.source if teacher is self.forward else train.target
            given = selected_lines(given, self._kept[written].tolist())
            pair = given, selected_lines(translations, written)
            sides.append(pair if teacher is self.forward else pair[::-1])
        counts = PairCounts(
            original=len(train) if self.with_original else 0,
            forward=made[self.forward.name],
            reverse=made.get("reverse", 0),
            too_long=len(train) - len(self._kept),
            empty=self.sentences - sum(made.values()),
        )
        if not counts.total:
            raise UsageError(f"{self.forward.models[0].run}: every translation is empty; name another run")
        texts = {"train": sides, "val": [(self.corpus.dev.source, self.corpus.dev.target)]}
        texts |= {name: [(text.source, text.target)] for name, text in self.corpus.tests.items()}
        for name, parts in texts.items():
            for side, language in enumerate((languages.source_language, languages.target_language)):
                with replacing(folder / f"{name}.{language}") as file:
                    for part in parts:
                        for lines in encoded_lines(part[side]):
                            file.write(lines)
        _write_record(folder / RECORD, {**_read(self.work / RECORD), _PAIRS: asdict(counts)})
        folder.rename(self.out)
        return counts

    def clear(self) -> None:
        """Remove the work folder if this program made it, and it holds no finished corpus."""
        if _is_begun(self.work):
            refuse_links(self.work)
            shutil.rmtree(self.work)

    def _translations(self, teacher: Teacher) -> Sequence[str]:
        """Return a teacher's translations in the order of the text."""
        _, order = self._text(teacher)
        joined = self.work / f"{teacher.name}.txt"
        with replacing(joined) as file:
            for part in sorted(self.work.glob(f"{teacher.name}-*.txt")):
                file.write(part.read_bytes())
        return TextLines.of_file(file_content(joined)).select(np.argsort(order, kind="stable").tolist())

    @cached_property
    def described(self) -> dict[str, Any]:
        """What decides the corpus, as it is recorded."""
        return {
            "corpus_sha256": self.corpus.digest(),
            "source_language": self._settings.corpus.source_language,
            "target_language": self._settings.corpus.target_language,
            "with_original": self.with_original,
            "forward": self.forward.described(),
            "reverse": None if self.reverse is None else self.reverse.described(),
        }


def work_folder(out: Path) -> Path:
    """Return the folder that holds the finished parts of a distilled corpus until it is complete."""
    return out.with_name(f"{out.name}.unfinished")


def _is_begun(folder: Path) -> bool:
    """Return whether a folder is one of finished parts: the record of a finished corpus tells its pairs."""
    return (folder / RECORD).is_file() and _PAIRS not in _read(folder / RECORD)


def _difference(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return in a few words how a distillation differs from the recorded one; the folders of runs may differ."""
    for name, value in wanted.items():
        before, now = (_without_places(its) for its in (recorded.get(name), value))
        if before == now:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            inside = next(key for key in {**before, **now} if before.get(key) != now.get(key))
            if inside == "models":
                return f"its {name} models are others"
            return f"{name} {inside} was {before.get(inside)!r} and is {now.get(inside)!r}"
        if isinstance(before, Mapping) or isinstance(now, Mapping):
            return f"it has {'a' if before else 'no'} {name} model"
        return f"{name} was {before!r} and is {now!r}"
    return None


def _without_places(described: Any) -> Any:
    if not isinstance(described, Mapping) or not isinstance(described.get("models"), Sequence):
        return described
    models = [{key: value for key, value in model.items() if key != "run"} for model in described["models"]]
    return {**described, "models": models}


def _write_record(file: Path, record: Mapping[str, Any]) -> None:
    replace_file(file, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def _read(file: Path) -> dict[str, Any]:
    return read_json(file, f"delete {file.parent} to begin anew")
