"""Attention comes back from its file as it went, and damage is refused by the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.decoding.attention_record import (
    SentenceAttention,
    attention_path,
    read_attention,
    write_attention,
)


def test_attention_survives_its_file(tmp_path: Path) -> None:
    path = attention_path(tmp_path / "pbt-seed0.txt")
    assert path.name == "pbt-seed0.attention.json"
    weights = np.array([[0.25, 0.75, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    whole = SentenceAttention(7, ["▁a", "<b>", "</s>"], ["▁ß", "</s>"], weights)
    empty = SentenceAttention(9, ["</s>"], [], np.zeros((0, 1)))
    write_attention(path, [whole, empty])
    first, second = read_attention(path)
    assert (first.line, first.source, first.target) == (7, ["▁a", "<b>", "</s>"], ["▁ß", "</s>"])
    assert first.weights == pytest.approx(weights, abs=5e-5)
    assert second.weights.shape == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "3",
        '[{"line": 1}]',
        '[{"line": 1, "source": ["a"], "target": ["b"], "weights": [[0.5, 0.5]]}]',
        '[{"line": 1, "source": ["a"], "target": ["b"], "weights": [["x"]]}]',
        '[{"line": 1, "source": ["a"], "target": ["b"], "weights": [[NaN]]}]',
        '[{"line": 1, "source": ["a"], "target": ["b"], "weights": [[1.5]]}]',
    ],
)
def test_damaged_attention_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pbt-seed0.attention.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"pbt-seed0\.attention\.json"):
        read_attention(path)
