"""Models of several runs translate together, and several test sets are scored by one command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.cli.models import models_of
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder
from nmt_pbt.tasks.translation.decoding.translator import Translator
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
from tests.translation.made_run import make_run
from tests.translation.test_commands import LINES, TEXT, command

__all__ = ["command"]


@pytest.fixture(scope="module")
def other(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same subwords, whose best model is another."""
    folder = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(run, folder)
    shutil.copy(folder / "models" / "random-seed0.safetensors", folder / "models" / "pbt-seed0.safetensors")
    return folder


def test_the_best_model_of_each_run_translates_or_as_many_as_are_asked_for(run, other, command):
    assert [(its.run, its.name) for its in models_of([run, other])] == [(run, "pbt-seed0"), (other, "pbt-seed0")]
    found = command("translate", str(run), str(other), "--nbest=1", text=TEXT)
    alone = [Translator(choose_models(path, TranslationSettings)) for path in (run, other)]
    options = alone[0].options
    models = [translator.decoder._models[0] for translator in alone]
    together = TextDecoder(models, alone[0].decoder.subwords, 128).translate_n_best(LINES, options)
    assert [line.split(" ||| ")[1] for line in found] == [row[0].text for row in together]
    assert found != command("translate", str(run), "--nbest=1", text=TEXT)
    assert found != command("translate", str(other), "--nbest=1", text=TEXT)
    assert len(models_of([other, run], of_each=3)) == 6
    assert [its.name for its in models_of([other, run], "random")] == ["random-seed0"] * 2
    with pytest.raises(UsageError, match="9 models asked for, 4 kept"):
        models_of([run, other], of_each=9)


def test_evaluate_tells_whose_models_translate_and_compares_with_a_run(run, other, command):
    told = command("evaluate", str(run), str(other), f"--against={other}")
    assert told[0].startswith(f"pbt-seed0 of {run} (trial 0) + pbt-seed0 of {other} (trial 0): test of toy, 12 ")
    assert told[5] == f"against pbt-seed0 of {other}:"
    assert len(told) == 10


def test_an_exported_model_holds_those_of_all_runs(run, other, command, tmp_path):
    assert command("export", str(run), str(other), str(tmp_path / "model"), "--beam=1") == [str(tmp_path / "model")]
    described = (tmp_path / "model" / "assets.extra" / "nmt-pbt.json").read_text(encoding="utf-8")
    assert str(run) in described
    assert str(other) in described


def test_runs_that_do_not_go_together_are_refused(run, other, bare_run, tmp_path, command):
    (line,) = command("translate", str(run), str(run.parent / "." / run.name), text=TEXT, code=2)
    assert "named twice; name each run once" in line
    fewer = make_run(tmp_path / "fewer", **{"corpus.vocabulary_size": 150})
    (line,) = command("translate", str(run), str(other), str(fewer), text=TEXT, code=2)
    assert f"{fewer}: its subwords are not those of {run}; name runs of the same training text" in line
    back = make_run(tmp_path / "back", **{"corpus.source_language": "de", "corpus.target_language": "en"})
    (line,) = command("evaluate", str(run), str(back), code=2)
    assert f"{back}: translates de to en, {run} en to de" in line


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a folder with three test sets."""
    folder = tmp_path_factory.mktemp("several")
    sizes = {"train": 60, "val": 6, "test_2016_flickr": 5, "test_2017_flickr": 7, "test_2017_mscoco": 8}
    for name, size in sizes.items():
        for language in ("en", "de"):
            text = "".join(f"line {number} of {name} in {language}\n" for number in range(size))
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    whole = {"corpus.train_pairs": None, "corpus.dev_pairs": None, "corpus.test_pairs": None}
    return make_run(folder / "run", **{"corpus.name": str(folder), "corpus.vocabulary_size": 30, **whole})


def headings(lines: list[str]) -> list[str]:
    return [line.partition(": ")[2] for line in lines if line.startswith("pbt-seed0")]


def test_each_test_set_that_is_named_gets_its_scores(several, command):
    names = {"test_2016_flickr": 5, "test_2017_flickr": 7, "test_2017_mscoco": 8}
    corpus = several.parent.name
    wanted = [f"{name} of {corpus}, {size} sentences, beam 3" for name, size in names.items()]
    everything = command("evaluate", str(several), "--test=all")
    assert headings(everything) == wanted
    assert len([line for line in everything if line.startswith("BLEU  ")]) == 3
    some = command("evaluate", str(several), "--test=test_2017_mscoco", "--test=test_2016_flickr")
    assert headings(some) == [wanted[2], wanted[0]]
    for heading in (0, 2):
        alone = command("evaluate", str(several), f"--test={list(names)[heading]}")
        assert headings(alone) == [wanted[heading]]
        begin = some.index(alone[0])
        assert some[begin : begin + len(alone)] == alone
    assert headings(command("evaluate", str(several))) == wanted[:1]


def test_test_sets_are_compared_with_a_run_each_and_not_with_a_file(several, command, tmp_path):
    told = command("evaluate", str(several), "--ensemble=2", "--test=all", f"--against={several}")
    against = [line for line in told if line.startswith("against")]
    assert against == [
        f"against pbt-seed0 of {several} on {name} of {several.parent.name}:"
        for name in ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
    ]
    (tmp_path / "given").write_text("Zeile\n" * 5, encoding="utf-8")
    (line,) = command("evaluate", str(several), "--test=all", f"--against={tmp_path / 'given'}", code=2)
    assert "holds translations of one text; name one with --test" in line
    command("evaluate", str(several), "--test=test_2016_flickr", f"--against={tmp_path / 'given'}")
