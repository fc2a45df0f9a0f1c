"""`translate`, `evaluate` and `export` at work on a run."""

from __future__ import annotations

import io
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmt_pbt.cli.main import app
from nmt_pbt.cli.usage import run_app
from nmt_pbt.run.best_model import choose_models
from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.translator import Translator, load_decoder
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

LINES = ["The cat sleeps.", "", "The old dogs see a small house.", "  ", "She is here."]
TEXT = "".join(line + "\n" for line in LINES)


@pytest.fixture(scope="module")
def loaded() -> dict[tuple[tuple[Path, str], ...], TextDecoder]:
    """What commands have loaded, by the models' runs and names."""
    return {}


@pytest.fixture(autouse=True)
def models_are_loaded_once(
    loaded: dict[tuple[tuple[Path, str], ...], TextDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracing a model takes most of the time of a command: the next one that wants it gets it as it is."""

    def load(chosen: Sequence[KeptModel[TranslationSettings]]) -> TextDecoder:
        models = tuple((one.run, one.name) for one in chosen)
        if models not in loaded:
            loaded[models] = load_decoder(chosen)
        return loaded[models]

    monkeypatch.setattr("nmt_pbt.tasks.translation.decoding.translator.load_decoder", load)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Run a command in this process; return the lines it wrote to standard output."""

    def run(*arguments: str, text: str | bytes = "", code: int = 0) -> list[str]:
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        found = run_app(app, arguments)
        output, errors = capfd.readouterr()
        assert found == code, errors
        if code:
            assert len(errors.splitlines()) == 1
            return errors.splitlines()
        return output.splitlines()

    return run


@pytest.fixture(scope="session")
def translator(run: Path) -> Translator:
    return Translator(choose_models(run, TranslationSettings))


def test_translate_keeps_order_and_blank_lines_whatever_is_translated_together(run, command, translator, monkeypatch):
    wanted = translator.translate(LINES)
    assert [bool(line) for line in wanted] == [True, False, True, False, True]
    assert command("translate", str(run), text=TEXT) == wanted
    assert command("translate", str(run), text=TEXT.rstrip("\n")) == wanted
    assert command("translate", str(run), text="") == []
    monkeypatch.setattr("nmt_pbt.cli.translate._LINES_TOGETHER", 2)
    assert command("translate", str(run), text=TEXT) == wanted


def test_a_beam_of_one_is_greedy_and_an_n_best_list_holds_the_translation_first(run, command, translator):
    assert command("translate", str(run), "--beam=1", text=TEXT) == translator.decoder.translate(LINES)
    found = [line.split(" ||| ") for line in command("translate", str(run), "--nbest=2", text=TEXT)]
    assert [row[0] for row in found] == ["0", "0", "1", "2", "2", "3", "4", "4"]
    best = {}
    for index, text, log_probability, score in found:
        best.setdefault(index, text)
        assert float(log_probability) <= 0
        assert float(score) <= 0
    assert list(best.values()) == translator.translate(LINES)


def test_no_ngram_comes_twice_where_that_is_asked_for(run, command, translator):
    free = command("translate", str(run), "--no-repeat-ngram=0", text=TEXT)
    assert free == translator.translate(LINES)
    for beam in (1, 3):
        options = replace(translator.options, beam=beam, no_repeat_ngram_size=2)
        found = translator.decoder.translate_n_best([line for line in LINES if line.strip()], options)
        assert not any(_repeats(row[0].subwords, 2) for row in found)
    assert any(_repeats(row[0].subwords, 2) for row in translator.n_best(LINES, 1))
    blocked = command("translate", str(run), "--no-repeat-ngram=2", text=TEXT)
    assert blocked == translator.decoder.translate(LINES, replace(translator.options, no_repeat_ngram_size=2))
    assert blocked != free
    told = command("evaluate", str(run), "--no-repeat-ngram=2")
    assert told[0].endswith("12 sentences, beam 3, no 2-gram twice")


def _repeats(ids: Sequence[int], size: int) -> bool:
    found = [tuple(ids[begin : begin + size]) for begin in range(len(ids) - size + 1)]
    return len(set(found)) < len(found)


def test_given_translations_are_scored_in_the_form_of_an_n_best_list(run, command, translator, tmp_path):
    given = ["Die Katze.", "", "Hunde sehen ein Haus.", "", "Sie ist hier."]
    (tmp_path / "given").write_text("".join(line + "\n" for line in given), encoding="utf-8")
    found = [line.split(" ||| ") for line in command("translate", str(run), f"--score={tmp_path / 'given'}", text=TEXT)]
    assert [row[1] for row in found] == given
    wanted = translator.score(LINES, given)
    assert [float(row[2]) for row in found] == pytest.approx([its.log_probability for its in wanted], abs=1e-3)
    assert [float(row[3]) for row in found] == pytest.approx([its.score for its in wanted], abs=1e-3)
    assert [float(row[2]) for row in found if not row[1]] == [0, 0]


def test_several_models_translate_together_as_their_mean_probability_says(run, command):
    chosen = choose_models(run, TranslationSettings, count=3)
    together = Translator(chosen)
    found = command("translate", str(run), "--ensemble=3", "--nbest=1", text=TEXT)
    wanted = together.n_best(LINES, 1)
    assert [line.split(" ||| ")[1] for line in found] == [row[0].text for row in wanted]
    models = [Translator([one]).decoder._models[0] for one in chosen]
    again = TextDecoder(models[::-1], together.decoder.subwords, 2).translate_n_best(
        LINES, DecodingOptions(3, 0.8, 0.1)
    )
    assert [row[0].score for row in again] == pytest.approx([row[0].score for row in wanted], abs=1e-5)
    assert found != command("translate", str(run), "--nbest=1", text=TEXT)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_attention_is_drawn_beside_the_translations(run, command, translator, tmp_path, kind):
    file = tmp_path / f"attention.{kind}"
    assert command("translate", str(run), f"--attention={file}", text=TEXT) == translator.translate(LINES)
    begin = {"png": b"\x89PNG", "svg": b"<?xml"}[kind]
    assert file.read_bytes().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_model_that_finds_nothing_has_no_attention_to_draw(run, command, tmp_path, monkeypatch):
    monkeypatch.setattr(Translator, "n_best", lambda _, lines, count: [[] for _ in lines])
    arguments = ("translate", str(run), f"--attention={tmp_path / 'a.png'}")
    (told,) = command(*arguments, text=TEXT, code=2)
    assert "no line has a translation to draw" in told
    assert list(tmp_path.iterdir()) == []


def test_attention_is_that_of_the_translation_with_its_subwords(translator):
    found = [row[0] for row in translator.n_best(LINES, 1)]
    matrices = translator.attention(LINES, found)
    assert len(matrices) == 3
    for matrix, line in zip(matrices, [line for line in LINES if line.strip()], strict=True):
        assert "".join(matrix.source) == "▁" + line.replace(" ", "▁") + "</s>"
        assert matrix.weights.shape == (len(matrix.target), len(matrix.source))
        assert np.allclose(matrix.weights.sum(axis=1), 1, atol=1e-5)


LONG = "The cat sleeps. " * 30 + "The dog sees Mr. Smith."


def test_lines_longer_than_any_in_training_are_told_once(run, translator, monkeypatch, capfd):
    def told(text: str, *options: str) -> tuple[list[str], str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))
        monkeypatch.setattr("nmt_pbt.cli.translate._LINES_TOGETHER", 2)
        assert run_app(app, ["translate", str(run), *options]) == 0
        written = capfd.readouterr()
        return written.out.splitlines(), written.err

    subwords = [translator.decoder.subwords.count(line) for line in (LONG, LONG + LONG)]
    translations, note = told(f"{LONG}\nShe is here.\n{LONG + LONG}\n")
    assert note == (
        f"nmt-pbt: standard input: 2 lines longer than any in training (up to {subwords[1]} subwords; in training 60 "
        "at most): translations may lack a part; add --split-sentences, or cut them\n"
    )
    assert translations[1] == translator.translate(["She is here."])[0]
    assert told(TEXT)[1] == ""
    joined, note = told(f"{LONG}\n\nShe is here.\n", "--split-sentences")
    one, last = translator.translate(["The cat sleeps.", "The dog sees Mr. Smith."])
    assert joined == [" ".join(filter(None, [one] * 30 + [last])), "", translations[1]]
    assert note == ""
    assert "2 lines with carriage returns inside" in told("a\rb\nc\rd\re\nf\r\n")[1]


def test_evaluate_tells_of_long_lines_and_splits_them(run, tmp_path, capfd):
    (tmp_path / "a").write_text(f"{LONG}\n", encoding="utf-8")
    (tmp_path / "b").write_text("Die Katze schläft.\n", encoding="utf-8")
    arguments = ["evaluate", str(run), f"--src={tmp_path / 'a'}", f"--ref={tmp_path / 'b'}"]
    assert run_app(app, arguments) == 0
    assert "1 line longer than any in training" in capfd.readouterr().err
    assert run_app(app, [*arguments, "--split-sentences"]) == 0
    written = capfd.readouterr()
    assert written.out.splitlines()[0].endswith("beam 3, sentence by sentence")
    assert written.err == ""


def test_evaluate_prints_each_score_with_its_signature(run, command):
    found = command("evaluate", str(run))
    assert found[0] == "pbt-seed0 (trial 0): test of toy, 12 sentences, beam 3"
    assert [line.split("  ")[0].strip() for line in found[1:]] == [
        "BLEU",
        "chrF",
        "TER",
        "BLEU, tokenised and lower-cased",
    ]
    assert all("version:" in line for line in found[1:])
    assert "lang:de" in found[4]
    assert command("evaluate", str(run), "--split=dev", "--beam=1")[0].endswith("dev of toy, 8 sentences, beam 1")
    both = command("evaluate", str(run), "--ensemble=2")[0]
    assert both.startswith("pbt-seed0 (trial 0) + pbt-seed0-trial1-interval0 (trial 1): test of toy")


def test_evaluate_scores_by_the_tokenizer_of_the_run_or_by_the_one_that_is_named(run, command, tmp_path):
    assert "tok:char" in command("evaluate", str(run), "--tokenize", "char")[1]
    (line,) = command("evaluate", str(run), "--tokenize", "cher", code=2)
    assert "--tokenize cher: sacrebleu has no such tokenizer; did you mean 'char'?" in line
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    text = (copy / "settings.yaml").read_text(encoding="utf-8")
    (copy / "settings.yaml").write_text(text.replace("tokenize: null", "tokenize: intl"), encoding="utf-8")
    assert "tok:intl" in command("evaluate", str(copy))[1]


def test_evaluate_tells_of_pairs_that_are_left_out(run, command, tmp_path):
    (tmp_path / "a").write_text("The cat sleeps.\n\nShe is here.\n", encoding="utf-8")
    (tmp_path / "b").write_text("Die Katze.\nHund.\nSie ist hier.\n", encoding="utf-8")
    found = command("evaluate", str(run), f"--src={tmp_path / 'a'}", f"--ref={tmp_path / 'b'}")
    assert ", 2 sentences," in found[0]
    assert found[1] == "left out: 1 pair with a blank line"


def test_evaluate_against_a_run_or_a_file_tells_differences_with_their_p_values(run, command):
    same = command("evaluate", str(run), f"--against={run}")[5:]
    assert same[0] == f"against pbt-seed0 of {run}:"
    assert len(same) == 5
    assert all("= +0.00  95% interval +0.00 to +0.00, p = 1.0000 (paired bootstrap" in line for line in same[1:])
    worse = command("evaluate", str(run), f"--against={run / 'translations' / 'random-seed0.txt'}")[5:]
    assert worse[1].startswith("BLEU ")
    assert "- 100.00 = -" in worse[1]
    assert "p = 0.0010 (paired bootstrap, 1,000 samples)" in worse[1]


def test_evaluate_lets_the_first_model_go_before_the_second_is_built(run, command, monkeypatch):
    alive = []
    import nmt_pbt.tasks.translation.decoding.translator as module

    built = []

    def watched(chosen):
        import gc
        import weakref

        gc.collect()
        alive.append(sum(reference() is not None for reference in built))
        decoder = load_decoder(chosen)
        built.append(weakref.ref(decoder))
        return decoder

    monkeypatch.setattr(module, "load_decoder", watched)
    command("evaluate", str(run), f"--against={run}")
    assert alive == [0, 0]


def start(*arguments: str, **streams) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-m", "nmt_pbt", *arguments], env=environment, **streams)


def test_a_closed_pipe_ends_translating_without_a_word(run, tmp_path):
    (tmp_path / "in").write_text(TEXT * 2000, encoding="utf-8")
    with open(tmp_path / "in", "rb") as text:
        process = start("translate", str(run), stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=120) == -signal.SIGPIPE
        process.stderr.close()
    assert errors == b""


def test_a_line_of_a_slow_pipe_is_translated_before_the_next_one_comes(run, translator):
    process = start("translate", str(run), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in ("The cat sleeps.", "", "She is here."):
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline().decode() == translator.translate([line])[0] + "\n"
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_at_a_terminal_what_is_not_utf_8_is_asked_for_again(run, translator, monkeypatch, capfd):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    # C.UTF-8, in which containers run, takes in what is not UTF-8 as half characters.
    typed = Terminal(io.BytesIO(b"The cat sleeps.\nna\xefve\nShe is here.\n"), "utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", typed)
    assert run_app(app, ["translate", str(run)]) == 0
    output, told = capfd.readouterr()
    assert output.splitlines() == translator.translate(["The cat sleeps.", "She is here."])
    assert "this line is not UTF-8; write it again" in told


def test_at_a_terminal_it_asks_and_answers_until_ctrl_d(run, translator):
    ours, its = pty.openpty()
    process = start("translate", str(run), stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""

    def until(end: bytes) -> bytes:
        nonlocal shown
        while not shown.endswith(end):
            shown += os.read(ours, 1000)
        found, shown = shown, b""
        return found

    assert b"Ctrl-D ends." in until(b"> ")
    for line in ("The cat sleeps.", "", "She is here."):
        os.write(ours, line.encode() + b"\n")
        answer = until(b"> ").decode().replace("\r", "").split("\n")
        assert answer[1] == translator.translate([line])[0]
    os.write(ours, b"\x04")
    assert process.wait(timeout=60) == 0
    os.close(ours)
