"""Is one translation of a text better than another, or did the sentences just fall that way?

BLEU and chrF of a corpus are functions of sums of integer counts over its sentences. Keeping the counts of each
sentence is enough to score any resampled corpus, without the references. The two tests are sacrebleu's (Koehn 2004,
"Statistical significance tests for machine translation evaluation"; Riezler & Maxwell 2005, "On some pitfalls in
automatic evaluation and significance testing for MT"), computed for all resamples at once.

Arrays of counts are `(sentences, columns)`, or `(searches, sentences, columns)` when several searches translated the
same sentences. Columns of `bleu`: hypothesis length, reference length, correct n-grams of order 1 to 4, n-grams of
order 1 to 4 (tokens). Columns of `chrf`: for each order the n-grams of the hypothesis, of the reference, and of both.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.base.files import replace_file
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import DEFAULT

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "bleu": (
        "hypothesis_length",
        "reference_length",
        *(f"correct_{order}" for order in range(1, 5)),
        *(f"total_{order}" for order in range(1, 5)),
    ),
    "chrf": tuple(f"{kind}_{order}" for order in range(1, 7) for kind in ("hypothesis", "reference", "match")),
}
"""Names of the counts of each metric, in their order."""

_COUNT = re.compile(r"[0-9]{1,15}")
_MOST_BYTES = 256 * 1024**2  # of one evaluation's counts
_CHRF_BETA = 2.0
_EPSILON = 1e-16  # sacrebleu's stand-in for an undefined precision or recall
_CHUNK = 1000  # resamples drawn together; bounds the memory at 8 kB a sentence


@dataclass(frozen=True)
class PairedResult:
    """How translation A compares with translation B of the same sentences.

    Attributes:
        difference: Score of A minus score of B, in points; with several searches, of their mean scores.
        low: Lower end of the 95% bootstrap interval of the difference; NaN where none was drawn.
        high: Its upper end.
        p_value: Two-sided.
        samples: How many resamples were drawn.
    """

    difference: float
    low: float
    high: float
    p_value: float
    samples: int


def sentence_counts(hypotheses: Sequence[str], references: Sequence[str], tokenize: str = DEFAULT) -> dict[str, Counts]:
    """Count what BLEU and chrF2 of these translations are made of; but for the tokenizer with sacrebleu's defaults.

    Args:
        hypotheses: Translations, detokenised, one a sentence.
        references: One reference for each.
        tokenize: The tokenizer of BLEU.

    Returns:
        `bleu` and `chrf`, each `(sentences, columns)`.

    Raises:
        UsageError: There are not as many hypotheses as references.
    """
    from sacrebleu.metrics.chrf import CHRF

    from nmt_pbt.tasks.translation.scoring.metrics import bleu_metric, composed

    if len(hypotheses) != len(references):
        raise UsageError(
            f"{len(hypotheses)} translations for {len(references)} references; give one translation a line"
        )
    counts = {}
    metrics: dict[str, Any] = {"bleu": bleu_metric(tokenize), "chrf": CHRF()}
    for name, metric in metrics.items():
        rows = metric._extract_corpus_statistics(composed(hypotheses), [composed(references)])
        counts[name] = np.asarray(rows, dtype=np.int64).reshape(len(hypotheses), len(COLUMNS[name]))
    return counts


def corpus_scores(metric: str, sums: npt.NDArray[Any]) -> Scores:
    """Score corpora from their summed counts.

    Args:
        metric: `bleu` (exponential smoothing), `chrf` (chrF2) or `ter`.
        sums: `(..., columns)`; of `ter` edits and words of the reference.

    Returns:
        `(...)`, from 0 to 100, of TER maybe more; equal to sacrebleu's `corpus_score`.
    """
    sums = np.asarray(sums, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"bleu": _bleu, "chrf": _chrf, "ter": _ter}[metric](sums)


def _bleu(sums: Scores) -> Scores:
    hypothesis, reference, correct, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
    # mteval's smoothing: the k-th order without a match counts as 1/2^k matches.
    smoothing = 2.0 ** np.cumsum((correct == 0) & (total > 0), axis=-1)
    precision = np.where(correct > 0, correct, 1 / smoothing) / total
    geometric_mean = np.exp(np.log(precision).mean(axis=-1))
    brevity = np.where(hypothesis < reference, np.exp(1 - reference / hypothesis), 1.0)
    defined = (total > 0).all(axis=-1) & (correct > 0).any(axis=-1)
    return np.where(defined, 100 * brevity * geometric_mean, 0.0)


def _chrf(sums: Scores) -> Scores:
    hypothesis, reference, match = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision = np.where(counted, match / np.where(counted, hypothesis, 1), 0).sum(axis=-1) / orders
    recall = np.where(counted, match / np.where(counted, reference, 1), 0).sum(axis=-1) / orders
    factor = _CHRF_BETA**2
    return np.where(
        precision + recall > 0,
        100 * (1 + factor) * precision * recall / np.maximum(factor * precision + recall, _EPSILON),
        0.0,
    )


def _ter(sums: Scores) -> Scores:
    edits, words = sums[..., 0], sums[..., 1]
    return np.where(words > 0, 100 * edits / words, np.where(edits > 0, 100.0, 0.0))


def paired_bootstrap(
    metric: str, a: Counts, b: Counts, random: np.random.Generator, samples: int = 1000
) -> PairedResult:
    """Compare two translations on resampled test sets (Koehn 2004).

    Args:
        metric: `bleu`, `chrf` or `ter`.
        a: Counts of A, `(sentences, columns)` or `(searches, sentences, columns)`.
        b: Counts of B, as many searches and sentences as A.
        random: Where the resamples are drawn from.
        samples: How many.

    Returns:
        The difference with its percentile interval; the p-value is sacrebleu's, from the centred differences.

    Raises:
        UsageError: A and B do not have the same shape.
    """
    a, b = _paired(a, b)
    scores = resampled_scores(metric, np.concatenate([a, b]), random, samples)
    return resampled_difference(metric, a, b, scores[:, : len(a)], scores[:, len(a) :])


def resampled_scores(metric: str, counts: Counts, random: np.random.Generator, samples: int = 1000) -> Scores:
    """Score several translations of the same sentences on resampled test sets, the same for all of them.

    Args:
        metric: `bleu`, `chrf` or `ter`.
        counts: `(translations, sentences, columns)`.
        random: Where the resamples are drawn from.
        samples: How many.

    Returns:
        `(samples, translations)`, in points.
    """
    translations, sentences, columns = counts.shape
    rows = _exact(counts.transpose(1, 0, 2).reshape(sentences, -1))
    found = []
    for count in _chunks(samples):
        drawn = random.choice(sentences, size=(count, sentences), replace=True)
        drawn += np.arange(count)[:, None] * sentences
        weights = np.bincount(drawn.ravel(), minlength=count * sentences).reshape(count, sentences)
        found.append(corpus_scores(metric, (weights.astype(rows.dtype) @ rows).reshape(count, translations, columns)))
    return np.concatenate(found)


def resampled_difference(metric: str, a: Counts, b: Counts, scores_a: Scores, scores_b: Scores) -> PairedResult:
    """Compare two translations by their scores on the same resampled test sets: see `paired_bootstrap`.

    Args:
        metric: `bleu`, `chrf` or `ter`.
        a: Counts of A, `(searches, sentences, columns)`.
        b: Counts of B, likewise.
        scores_a: `resampled_scores` of A, `(samples, searches)`.
        scores_b: Those of B on the same resamples.

    Returns:
        The difference with its percentile interval and sacrebleu's p-value.
    """
    drawn = (scores_a - scores_b).mean(axis=-1)
    difference = _difference(metric, a, b)
    low, high = np.quantile(drawn, [0.025, 0.975])
    absolute = np.abs(drawn)
    # A rounding error must not decide, and translations that are alike must not look as if they differed.
    extreme = int(np.sum(absolute - absolute.mean() > abs(difference) - 1e-9))
    return PairedResult(difference, float(low), float(high), (extreme + 1) / (len(drawn) + 1), len(drawn))


def approximate_randomisation(
    metric: str, a: Counts, b: Counts, random: np.random.Generator, samples: int = 10000
) -> PairedResult:
    """Test whether two translations differ by more than swapping them sentence by sentence does.

    Args:
        metric: `bleu`, `chrf` or `ter`.
        a: Counts of A, `(sentences, columns)` or `(searches, sentences, columns)`. A sentence is swapped in all
            searches at once: the sentence is what was sampled.
        b: Counts of B, as many searches and sentences as A.
        random: Where the swaps are drawn from.
        samples: How many.

    Returns:
        The difference and its p-value, without an interval.

    Raises:
        UsageError: A and B do not have the same shape.
    """
    a, b = _paired(a, b)
    pair = list(range(len(a))), list(range(len(a), 2 * len(a)))
    return approximate_randomisations(metric, np.concatenate([a, b]), [pair], random, samples)[0]


def approximate_randomisations(
    metric: str,
    counts: Counts,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    random: np.random.Generator,
    samples: int = 10000,
) -> list[PairedResult]:
    """Make several tests with the same swaps, in the time of little more than one: see `approximate_randomisation`.

    Args:
        metric: `bleu`, `chrf` or `ter`.
        counts: Of several translations of the same sentences, `(translations, sentences, columns)`.
        pairs: Which of them are A, and which, as many, are B.
        random: Where the swaps are drawn from.
        samples: How many.

    Returns:
        One result a pair.
    """
    if not pairs:
        return []
    translations, sentences, columns = counts.shape
    rows = _exact(counts.transpose(1, 0, 2).reshape(sentences, -1))
    sums = counts.sum(axis=1)
    places = [(np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in pairs]
    differences = [_difference(metric, counts[a], counts[b]) for a, b in places]
    extreme = [0] * len(pairs)
    for count in _chunks(samples):
        kept = random.integers(2, size=(count, sentences), dtype=bool)
        own = (kept.astype(rows.dtype) @ rows).reshape(count, translations, columns)
        for place, (a, b) in enumerate(places):
            change = own[:, a] - own[:, b]
            swapped = corpus_scores(metric, sums[b] + change) - corpus_scores(metric, sums[a] - change)
            # A rounding error must not make a swap that changes nothing look like less than the difference itself.
            extreme[place] += int(np.sum(np.abs(swapped.mean(axis=-1)) > abs(differences[place]) - 1e-9))
    nan = float("nan")
    return [
        PairedResult(difference, nan, nan, (beyond + 1) / (samples + 1), samples)
        for difference, beyond in zip(differences, extreme, strict=True)
    ]


def _difference(metric: str, a: Counts, b: Counts) -> float:
    return float((corpus_scores(metric, a.sum(axis=1)) - corpus_scores(metric, b.sum(axis=1))).mean())


def _paired(a: Counts, b: Counts) -> tuple[Counts, Counts]:
    if a.shape != b.shape:
        raise UsageError(
            f"translations to compare have counts of shapes {a.shape} and {b.shape}; "
            "both have to translate the same test sentences, equally often"
        )
    return (a, b) if a.ndim == 3 else (a[None], b[None])


def _exact(rows: Counts) -> npt.NDArray[np.floating[Any]]:
    """Return counts in the shortest floating point type that adds up any resample of these rows without rounding."""
    largest = int(np.abs(rows).max(initial=0)) * len(rows)
    return rows.astype(np.float32 if largest < 2**24 else np.float64)


def _chunks(samples: int) -> list[int]:
    return [min(_CHUNK, samples - start) for start in range(0, samples, _CHUNK)]


def pack_counts(counts: Counts) -> str:
    """Return counts as a short text, for a record of the journal: compressed, column by column.

    Args:
        counts: `(sentences, columns)`.
    """
    columns = np.ascontiguousarray(counts.T.astype("<u4"))
    return base64.b64encode(zlib.compress(columns.tobytes(), level=9)).decode("ascii")


def unpack_counts(metric: str, text: str) -> Counts:
    """Return the counts that `pack_counts` made a text of.

    Args:
        metric: `bleu` or `chrf`: what they are counts of.
        text: The text.

    Returns:
        `(sentences, columns)`.

    Raises:
        JournalError: The text is damaged.
    """
    width = len(COLUMNS[metric])
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
        if not unpacker.eof:
            raise ValueError("cut off, or far more than any run has")
        columns = np.frombuffer(data, "<u4")
        return columns.reshape(width, -1).T.astype(np.int64)
    except (binascii.Error, zlib.error, ValueError):
        raise JournalError("journal: sentence counts are damaged; restore the journal from a copy") from None


def counts_path(translations: Path) -> Path:
    """Return where the counts of a file of translations are kept: `x.txt` has `x.counts.csv` beside it."""
    return translations.with_suffix(".counts.csv")


def write_counts(path: Path, counts: Mapping[str, Counts]) -> None:
    """Write sentence counts as CSV: a header `bleu_hypothesis_length, ...`, then one test sentence a row.

    Args:
        path: The file; an existing one is replaced in one step.
        counts: As `sentence_counts` returns them.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{metric}_{column}" for metric in COLUMNS for column in COLUMNS[metric]])
    writer.writerows(np.concatenate([counts[metric] for metric in COLUMNS], axis=1).tolist())
    replace_file(path, text.getvalue().encode("utf-8"))


def read_counts(path: Path) -> dict[str, Counts]:
    """Read what `write_counts` wrote.

    Args:
        path: The file.

    Returns:
        `bleu` and `chrf`, each `(sentences, columns)`.

    Raises:
        UsageError: The file is not what `write_counts` writes; says which line.
    """
    header = [f"{metric}_{column}" for metric in COLUMNS for column in COLUMNS[metric]]
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: damaged ({error}); restore the file from a copy") from None
    if not rows or rows[0] != header:
        raise UsageError(f"{path}, line 1: not sentence counts of this version; restore the file from a copy")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header) or not all(_COUNT.fullmatch(cell) for cell in row):
            raise UsageError(f"{path}, line {number}: damaged; restore the file from a copy")
    table = np.asarray(rows[1:], dtype=np.int64).reshape(-1, len(header))
    width = len(COLUMNS["bleu"])
    return {"bleu": table[:, :width], "chrf": table[:, width:]}
