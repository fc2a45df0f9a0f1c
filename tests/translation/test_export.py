"""An exported model translates text by itself, with TensorFlow and its tokenizer alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.tasks.translation.decoding import export as module
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.export import export
from nmt_pbt.tasks.translation.decoding.translator import Translator
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

LINES = ["The cat sleeps.", "", "The old dogs see a small house.", " ", "Ünïcode, 1 + 1 = 2!", "She is here."]
PROGRAM = """
import json, sys
import tensorflow as tf
import tensorflow_text
model = tf.saved_model.load(sys.argv[1])
found = model.translate(tf.constant(json.loads(sys.argv[2])))
served = model.signatures["serving_default"](sentences=tf.constant(json.loads(sys.argv[2])))
assert sorted(served) == sorted(found) == ["log_probabilities", "scores", "translations"]
assert all(bool(tf.reduce_all(served[name] == found[name])) for name in found)
assert not {"nmt_pbt", "sentencepiece"} & set(sys.modules)
one = model.translate(["The cat sleeps."])
nothing = model.translate(tf.constant([], tf.string))
assert all(found.shape == [0] for found in nothing.values())
print(json.dumps({
    "translations": [text.decode() for text in found["translations"].numpy()],
    "scores": found["scores"].numpy().tolist(),
    "log_probabilities": found["log_probabilities"].numpy().tolist(),
    "one": [text.decode() for text in one["translations"].numpy()],
}))
"""


def in_a_fresh_process(folder: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), json.dumps(LINES)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("beam", "count", "size"), [(1, 1, 0), (2, 2, 0), (2, 1, 2)])
def test_it_gives_the_same_strings_in_a_fresh_process(run, tmp_path, beam, count, size):
    chosen = choose_models(run, TranslationSettings, count=count)
    folder = tmp_path / "model"
    options = DecodingOptions.of(chosen[0].settings.evaluation, beam, size)
    export(chosen, folder, options)
    found = in_a_fresh_process(folder)
    wanted = [row[0] for row in Translator(chosen, options).n_best(LINES, 1)]
    assert found["translations"] == [its.text for its in wanted]
    assert found["scores"] == pytest.approx([its.score for its in wanted], abs=1e-4)
    assert found["log_probabilities"] == pytest.approx([its.log_probability for its in wanted], abs=1e-4)
    assert found["one"] == [wanted[0].text]
    described = json.loads((folder / "assets.extra" / "nmt-pbt.json").read_text(encoding="utf-8"))
    assert described["beam"] == beam
    assert (described["length_penalty"], described["coverage_penalty"]) == (0.8, 0.1)
    assert described["no_repeat_ngram_size"] == options.no_repeat_ngram_size
    assert [its["name"] for its in described["models"]] == [its.name for its in chosen]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_exists_or_cannot_be_made_is_refused(run, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(UsageError, match="already exists"):
            export(choose_models(run, TranslationSettings), tmp_path / name)
    with pytest.raises(UsageError, match="cannot be made in"):
        export(choose_models(run, TranslationSettings), tmp_path / "no" / "such")


def test_nothing_is_left_behind_when_it_cannot_be_written(run, tmp_path, monkeypatch):
    def half(_, folder: str, **__) -> None:
        Path(folder).mkdir()
        (Path(folder) / "saved_model.pb").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tf.saved_model, "save", half)
    with pytest.raises(OSError, match="No space") as error:
        export(choose_models(run, TranslationSettings), tmp_path / "model")
    assert error.value.filename == str(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_tensorflow_finds_full_is_told_in_one_line(run, small_disk):
    with pytest.raises(UsageError, match=r"disk/model: cannot be written \(.*\); mend that and try again") as error:
        export(choose_models(run, TranslationSettings), small_disk / "model")
    assert ".tmp" not in str(error.value)
    assert list(small_disk.iterdir()) == []
