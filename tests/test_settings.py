"""Settings: defaults, files and `key=value`, and one clear line for whatever is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.section import Section
from nmt_pbt.base.yaml_text import dump_yaml, parse_yaml
from nmt_pbt.settings.fingerprint import settings_hash
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.settings.own_task import OwnTaskSettings
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from nmt_pbt.tasks.translation.settings.sections import (
    HYPERPARAMETERS,
    MUTABLE,
    SEARCHABLE,
    STRUCTURAL,
    ModelSettings,
    TrainingSettings,
)
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from tests.hyperparameters import values_of


def recorded_hash(settings: TranslationSettings) -> str:
    """Return the hash that the journal of a run begun with these settings holds."""
    return settings_hash(parse_yaml(dump_settings(settings), "settings.yaml"), TranslationSettings)


def load(text: str, folder: Path, *assignments: str) -> TranslationSettings:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, assignments)


def refusal(*assignments: str, **overrides: Any) -> str:
    with pytest.raises(UsageError) as caught:
        load_settings(None, assignments, overrides)
    return str(caught.value)


def file_refusal(text: str, folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load(text, folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'settings.yaml'}")
    return message.removeprefix(f"{folder / 'settings.yaml'}")


# What is read


def test_without_a_file_the_defaults_are_in_force() -> None:
    assert load_settings() == TranslationSettings()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_gives_the_defaults(text: str, tmp_path: Path) -> None:
    assert load(text, tmp_path) == TranslationSettings()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    got = load("seed: 7\ntraining: {dropout: 0.4}\n", tmp_path)
    assert (got.seed, got.training.dropout) == (7, 0.4)
    assert got.model_copy(update={"seed": 0, "training": TrainingSettings()}) == TranslationSettings()


def test_assignments_win_over_overrides_and_overrides_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("seed: 1\ntraining: {dropout: 0.1, epochs: 3}\nsearch: {seeds: 2}\n")
    got = load_settings(path, ["training.dropout=0.3"], {"training.dropout": 0.2, "search.seeds": 5})
    assert (got.seed, got.training.dropout, got.training.epochs, got.search.seeds) == (1, 0.3, 3.0, 5)


def test_the_last_of_two_assignments_wins() -> None:
    assert load_settings(None, ["seed=1", "seed=2"]).seed == 2


def test_an_assignment_changes_one_bound_of_a_default_hyperparameter() -> None:
    got = load_settings(None, ["search.space.dropout.max=0.9"]).search.space
    assert got["dropout"] == NumberDomain(min=0.0, max=0.9)
    assert {**got, "dropout": None} == {**TranslationSettings().search.space, "dropout": None}


def test_an_assignment_adds_a_hyperparameter_to_the_default_space() -> None:
    got = load_settings(None, ["search.space.units={min: 16, max: 64, integer: true}"]).search.space
    assert list(got) == [*TranslationSettings().search.space, "units"]


def test_a_space_in_a_file_replaces_the_default_space(tmp_path: Path) -> None:
    got = load("search: {space: {dropout: {min: 0.1, max: 0.2}}}", tmp_path)
    assert list(got.search.space) == ["dropout"]


def test_a_domain_given_whole_replaces_one_of_another_kind() -> None:
    got = load_settings(None, ["search.space.dropout={choices: [0.1, 0.3]}"]).search.space["dropout"]
    assert got == ChoiceDomain(choices=[0.1, 0.3])


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", ".1e-2", "1.0e-3", "+1e-3"])
def test_every_way_to_write_a_number_is_a_number_also_in_a_list_of_choices(text: str) -> None:
    got = load_settings(None, [f"search.space.learning_rate={{choices: [{text}, 0.5]}}"])
    assert got.search.space["learning_rate"] == ChoiceDomain(choices=[0.001, 0.5])


def test_an_assigned_value_may_hold_an_equals_sign() -> None:
    assert load_settings(None, ["corpus.name=a=b"]).corpus.name == "a=b"


def test_norwegian_is_a_language() -> None:
    assert load_settings(None, ["corpus.target_language=no"]).corpus.target_language == "no"


def test_null_takes_all_pairs() -> None:
    assert load_settings(None, ["corpus.train_pairs=5", "corpus.train_pairs=null"]).corpus.train_pairs is None


@pytest.mark.parametrize(
    ("corpus", "name", "expected"),
    [
        ("toy", None, "toy"),
        ("data/my corpus/", None, "my-corpus"),
        ("toy", "first", "first"),
        ("..", None, "run"),
        ("übung", None, "bung"),
        ("a" * 300, None, "a" * 100),
    ],
)
def test_a_run_is_named_as_said_or_after_its_corpus_and_its_name_is_a_settings_name(
    corpus: str, name: str | None, expected: str
) -> None:
    got = TranslationSettings.model_validate({"corpus": {"name": corpus}, "name": name}).run_name
    assert got == expected
    assert TranslationSettings(name=got).run_name == got


# What is refused


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("searh.seeds=2", "settings: searh: no such setting; did you mean 'search'?"),
        ("training.droput=0.1", "settings: training.droput: no such setting; did you mean 'dropout'?"),
        ("search.pbt.fracton=0.1", "settings: search.pbt.fracton: no such setting; did you mean 'fraction'?"),
        (
            "search.space.dropot={min: 0, max: 0.5}",
            "search.space.dropot: no such hyperparameter; did you mean 'dropout'?",
        ),
        ("search.space.dropout.mim=0", "settings: search.space.dropout.mim: no such setting; did you mean 'min'?"),
        ("search.bayes.topk=1", "settings: search.bayes.topk: no such setting; known: exploration, initial_points"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_one_or_all_that_are_known(assignment: str, message: str) -> None:
    assert refusal(assignment).endswith(message)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.dropout=1.0", "training.dropout: input should be less than 1, got 1.0; correct it"),
        ("training.dropout=-0.1", "training.dropout: input should be greater than or equal to 0, got -0.1; correct it"),
        ("training.epochs=0", "training.epochs: input should be greater than 0, got 0; correct it"),
        ("search.population=1", "search.population: input should be greater than or equal to 2, got 1; correct it"),
        (
            "search.pbt.fraction=0.6",
            "search.pbt.fraction: input should be less than or equal to 0.5, got 0.6; correct it",
        ),
        ("seed=-1", "seed: input should be greater than or equal to 0, got -1; correct it"),
        ("training.learning_rate=.inf", "training.learning_rate: input should be a finite number, got inf; correct it"),
        ("training.learning_rate=.nan", "training.learning_rate: input should be a finite number, got nan; correct it"),
        ("training.epochs=1e999", "training.epochs: input should be a finite number, got inf; correct it"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key_its_bound_and_what_was_given(assignment: str, message: str) -> None:
    assert refusal(assignment) == f"settings: {message}"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed=two", "seed: input should be a valid integer, got 'two'; correct it"),
        ("seed=2.0", "seed: input should be a valid integer, got 2.0; correct it"),
        ("seed=true", "seed: input should be a valid integer, got True; correct it"),
        ("training.dropout=true", "training.dropout: input should be a valid number, got True; correct it"),
        ("training.dropout='0.3'", "training.dropout: input should be a valid number, got '0.3'; correct it"),
        ("search.pbt.synchronous=yes", "search.pbt.synchronous: expected true or false; correct it"),
        ("search.methods=pbt", "search.methods: input should be a valid list, got 'pbt'; correct it"),
        (
            "model.attention=additiv",
            "model.attention: input should be 'additive', 'general' or 'dot', got 'additiv'; correct it",
        ),
        ("corpus=toy", "corpus: expected settings under this name; add some, or remove it"),
        ("corpus=", "corpus: expected settings under this name; add some, or remove it"),
        (
            "search.space.batch_size.choices=[[1]]",
            "search.space.batch_size.choices.0: expected a number, a word, true or false; correct it",
        ),
    ],
)
def test_a_value_of_another_kind_is_refused_and_never_converted(assignment: str, message: str) -> None:
    assert refusal(assignment) == f"settings: {message}"


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ("dropout={min: 0.5, max: 0.1}", "search.space.dropout: min 0.5 is above max 0.1; swap them"),
        ("dropout={max: 0.1}", "search.space.dropout.min: is missing; add it"),
        (
            "learning_rate={min: 0, max: 1, scale: log}",
            "search.space.learning_rate: min 0 on a log scale; a log scale needs min > 0",
        ),
        (
            "learning_rate={min: 0.1, max: 1, scale: log, step: 0.1}",
            "search.space.learning_rate: step is for a linear scale; leave it out",
        ),
        ("units={min: 1.5, max: 8, integer: true}", "search.space.units: integer needs whole numbers for min and max"),
        ("units={min: 1, max: 8}", "search.space.units: takes whole numbers; add integer: true, or list choices"),
        (
            "units={min: 0, max: 8, integer: true}",
            "search.space.units: 0 is out of place (Input should be greater than or equal to 1); correct it",
        ),
        (
            "dropout={min: 0.1, max: 1.5}",
            "search.space.dropout: 1.5 is out of place (Input should be less than 1); correct it",
        ),
        (
            "dropout={min: .nan, max: 1}",
            "search.space.dropout.min: input should be a finite number, got nan; correct it",
        ),
        (
            "dropout.choices=[0.1]",
            "search.space.dropout.min: a domain has either min and max, or choices; give it whole, "
            "for instance --set 'search.space.dropout={choices: [1, 2]}'",
        ),
        (
            "batch_size={choices: [16, true]}",
            "search.space.batch_size: True is out of place (Input should be a valid integer); correct it",
        ),
        ("batch_size={choices: [16, 16]}", "search.space.batch_size: a choice is listed twice; remove it"),
        (
            "attention={choices: [dot, none]}",
            "search.space.attention: 'none' is out of place (Input should be 'additive', 'general' or 'dot'); "
            "correct it",
        ),
        ("dropout=0.3", "search.space.dropout: expected settings under this name; add some, or remove it"),
    ],
)
def test_a_domain_that_cannot_be_searched_is_refused_under_its_hyperparameters_name(domain: str, message: str) -> None:
    assert refusal(f"search.space.{domain}") == f"settings: {message}"


@pytest.mark.parametrize("interval", ["25", "24.001"])
def test_an_interval_longer_than_the_training_is_refused(interval: str) -> None:
    assert refusal(f"search.interval={interval}") == (
        f"settings: search.interval {interval} is longer than training.epochs 24; make it shorter"
    )


@pytest.mark.parametrize("text", ["x", "=1", ".=1", "a..b=1", " =1", "search.=1", ""])
def test_an_assignment_without_a_key_or_a_value_is_refused(text: str) -> None:
    assert refusal(text) == f"--set {text}: expected key=value, for instance --set training.dropout=0.3"


def test_an_assignment_below_a_value_is_refused() -> None:
    assert refusal("seed.x=1") == "seed.x: 'seed' is a value, not a section; remove the part after it"


def test_an_assignment_that_is_not_yaml_is_refused() -> None:
    assert refusal("seed=[1") == "--set seed=[1: not valid YAML; correct it"


@pytest.mark.parametrize("key", ["name", "corpus.source_language", "corpus.target_language"])
@pytest.mark.parametrize("value", ["../x", "/etc", "a/b", "..", "", "'a\\b'", '"a\\n"', "a" * 101])
def test_no_setting_that_becomes_part_of_a_path_leads_out_of_its_folder(key: str, value: str) -> None:
    value = value or "''"
    assert refusal(f"{key}={value}").startswith(f"settings: {key}: string should ")


def test_what_is_refused_is_shown_shortened() -> None:
    assert refusal("seed=" + "9" * 5000).endswith("99...; correct it")
    assert len(refusal("seed=" + "[" * 5000)) < 200
    assert len(refusal(**{"seed" * 1000: 1})) < 300


def test_a_file_is_named_with_the_line_of_what_is_not_yaml(tmp_path: Path) -> None:
    assert file_refusal("seed: 3\n  x: 4\n", tmp_path) == ", line 2: not valid YAML; correct it"


def test_a_files_path_stands_before_the_key_that_is_wrong(tmp_path: Path) -> None:
    assert file_refusal("training: {dropout: 2}", tmp_path).startswith(
        ": training.dropout: input should be less than 1"
    )


def test_a_missing_file_a_folder_and_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: no such file; see configs/ for examples$"):
        load_settings(tmp_path / "nowhere.yaml")
    with pytest.raises(UsageError, match=r"cannot be read as UTF-8 text \(.*\); give a YAML file$"):
        load_settings(tmp_path)
    (tmp_path / "latin1.yaml").write_bytes("name: übung".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin1\.yaml: cannot be read as UTF-8 text"):
        load_settings(tmp_path / "latin1.yaml")


# Round trips


EPOCHS = values_of("epochs").filter(lambda epochs: epochs >= 1)
"""Not shorter than an interval, which is one epoch here."""


@st.composite
def domains(draw: st.DrawFn, name: str) -> dict[str, Any]:
    values = EPOCHS if name == "epochs" else values_of(name)
    default = HYPERPARAMETERS[name].default
    if isinstance(default, str):
        return {"choices": draw(st.lists(values, min_size=1, unique=True)), "ordered": draw(st.booleans())}
    if isinstance(default, bool) or draw(st.booleans()):
        return {"choices": draw(st.lists(values, min_size=1, max_size=5, unique=True))}
    low, high = sorted([draw(values), draw(values)])
    whole = HYPERPARAMETERS[name].integer
    return {"min": low, "max": high, "integer": whole, "scale": "log" if low > 0 and draw(st.booleans()) else "linear"}


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    text = st.text(st.characters(codec="utf-8"), max_size=20)
    values = text | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63) | st.booleans()
    names = draw(st.lists(st.sampled_from(SEARCHABLE), min_size=1, unique=True))
    return {
        "name": draw(st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "corpus": {"name": draw(text), "source_language": draw(st.sampled_from(["en", "no", "1e5", "010", "null"]))},
        "training": {name: draw(values_of(name)) for name in MUTABLE} | {"epochs": draw(EPOCHS)},
        "search": {
            "methods": draw(st.lists(text, min_size=1, max_size=4)),
            "space": {name: draw(domains(name)) for name in names},
            "grid": {"levels": {name: draw(st.lists(values, max_size=3)) for name in names}},
        },
    }


@given(tree=trees())
def test_settings_that_are_written_and_read_again_are_the_same(tree: dict[str, Any], tmp_path: Path) -> None:
    before = TranslationSettings.model_validate(tree)
    after = load(dump_settings(before), tmp_path)
    assert after == before
    assert recorded_hash(after) == recorded_hash(before)
    assert dump_settings(after) == dump_settings(before)


@given(tree=trees())
def test_setting_what_is_already_so_changes_nothing(tree: dict[str, Any], tmp_path: Path) -> None:
    before = TranslationSettings.model_validate(tree)
    text = dump_settings(before)
    assert load(text, tmp_path, f"training.dropout={before.training.dropout!r}", f"seed={before.seed}") == before


# Any text at all

_SETTINGS_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "seed",
                    "name",
                    "corpus",
                    "training",
                    "search",
                    "space",
                    "dropout",
                    "units",
                    "attention",
                    "methods",
                    "grid",
                    "levels",
                    "pbt",
                    "frozen",
                    "min",
                    "max",
                    "choices",
                    "integer",
                    "scale",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def settings_or_line(read: Callable[[], TranslationSettings]) -> TranslationSettings | str:
    """What came of reading: settings, or else one line fit to be shown."""
    try:
        return read()
    except UsageError as error:
        return str(error)


def assert_settings_or_line(text: str, folder: Path) -> None:
    got = settings_or_line(lambda: load(text, folder))
    if isinstance(got, TranslationSettings):
        assert load(dump_settings(got), folder) == got
    else:
        assert got.isprintable()


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
@example(text="seed: 1\x00")
@example(text="- " * 5000)
@example(text="? " * 5000)
@example(text="[" * 5000)
@example(text="{a: " * 5000)
@example(text="seed: !!python/object/apply:os.system [ls]")
@example(text="name: !!timestamp 2026-13-45")
@example(text="seed: !!int x")
@example(text="seed: 0_")
@example(text="seed: 09")
@example(text='"a\\nb": 1')
@example(text="search: {space: {units: {min: .inf, max: .inf, integer: true}}}")
@example(text="seed: " + "9" * 5000)
def test_any_text_gives_settings_or_one_line_never_a_traceback(text: str, tmp_path: Path) -> None:
    assert_settings_or_line(text, tmp_path)


@given(tree=_SETTINGS_LIKE)
@settings(max_examples=300)
def test_any_tree_gives_settings_or_one_line_never_a_traceback(tree: Any, tmp_path: Path) -> None:
    assert_settings_or_line(dump_yaml(tree), tmp_path)


@given(data=st.binary(max_size=100))
def test_any_bytes_give_settings_or_one_line_never_a_traceback(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(data)
    got = settings_or_line(lambda: load_settings(path))
    assert isinstance(got, TranslationSettings) or got.isprintable()


@given(text=st.text(max_size=60) | st.builds("{}={}".format, st.sampled_from(SEARCHABLE), st.text(max_size=20)))
@example(text="search.space.dropout.min=" + "[" * 5000)
@example(text="search.space.dropout.min=\ud800")
def test_any_assignment_gives_settings_or_one_line_never_a_traceback(text: str) -> None:
    got = settings_or_line(lambda: load_settings(None, [text, f"training.{text}"]))
    assert isinstance(got, TranslationSettings) or got.isprintable()


# What a run's identity hangs on


def test_the_hash_of_the_settings_leaves_out_what_may_be_added_or_moved() -> None:
    same = ["name=x", "engine.threads=2", "search.seeds=3", "search.methods=[pbt]"]
    same += ["corpus.byte_fallback=false", "evaluation.no_repeat_ngram_size=0"]  # as before there were such settings
    other = [
        "corpus.byte_fallback=true",
        "evaluation.no_repeat_ngram_size=3",
        "seed=1",
        "training.dropout=0.21",
        "search.population=7",
        "corpus.train_pairs=10",
    ]
    base = recorded_hash(TranslationSettings())
    assert {recorded_hash(load_settings(None, [text])) for text in same} == {base}
    assert len({base, *(recorded_hash(load_settings(None, [text])) for text in other)}) == len(other) + 1


def test_the_default_settings_have_the_hash_that_they_had_in_earlier_versions() -> None:
    """Else no run that was begun with them could be continued."""
    assert recorded_hash(load_settings(None, ["corpus.normalization=nmt_nfkc"])) == (
        "cbea20166263a414846e9426c86e05fff034c4d66167014d7a82be4390372e5a"
    ), "a new setting has to be named in `earlier_values` of its section, with the value that means: as before"


def test_the_hash_of_a_run_that_was_begun_earlier_stays_as_its_journal_has_it() -> None:
    """Else no run could be continued by a later version."""
    tree = {
        "name": "mine",
        "seed": 3,
        "corpus": {"name": "toy", "vocabulary_size": 400},
        "training": {"learning_rate": 0.004, "epochs": 24.0},
        "search": {"methods": ["pbt"], "seeds": 2, "population": 6, "space": {"dropout": {"min": 0.0, "max": 0.6}}},
        "evaluation": {"beam": 5, "samples": 2, "kept_models": 1},
        "engine": {"workers": 2},
    }
    assert (
        settings_hash(tree, TranslationSettings) == "ed938891d64fbb24892899f04cbc6bcc8ae6ec5e69219f77a3fba919996aaff6"
    )


def test_a_section_that_came_later_leaves_the_hash_as_it_was_until_one_of_its_settings_is_changed() -> None:
    class Later(Section):
        earlier_values: ClassVar[Mapping[str, object]] = {"rate": 1}
        rate: int = 1

    class Grown(Later):
        size: int = 1

    class Before(Section):
        seed: int = 0

    class After(Before):
        later: Later = Later()

    class Other(Before):
        grown: Grown = Grown()

    before = settings_hash({"seed": 1}, Before)
    assert settings_hash({"seed": 1, "later": {"rate": 1}}, After) == before
    assert settings_hash({"seed": 1, "later": {"rate": 2}}, After) != before
    assert settings_hash({"seed": 1, "grown": {"rate": 1, "size": 1}}, Other) != before  # size has always been there


def sections(kind: type[Section]) -> Iterator[type[Section]]:
    """Yield a class of settings and those of all sections within it."""
    yield kind
    for field in kind.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from sections(field.annotation)


def test_null_means_as_before_in_every_setting_that_came_later() -> None:
    """A fingerprint leaves it out, whatever the earlier value."""
    found = {
        name
        for kind in (*sections(TranslationSettings), *sections(OwnTaskSettings))
        for name, earlier in kind.earlier_values.items()
        if earlier is not None and type(None) in get_args(kind.model_fields[name].annotation)
    }
    assert found == {"tokenize"}, "its null is written out before a run is recorded; see `for_new_run`"


def test_the_hash_is_the_same_in_every_process() -> None:
    program = (
        "from nmt_pbt.tasks.translation.settings.tree import TranslationSettings; "
        "from nmt_pbt.settings.fingerprint import settings_hash; "
        "print(settings_hash(TranslationSettings().model_dump(mode='json'), TranslationSettings))"
    )
    got = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert got == recorded_hash(TranslationSettings())


def test_every_searchable_hyperparameter_is_a_setting_of_its_section() -> None:
    whole_run = {"epochs", "averaging", "averaged_checkpoints", "early_stopping"}
    assert set(MUTABLE) | whole_run == set(TrainingSettings.model_fields)
    assert set(STRUCTURAL) < set(ModelSettings.model_fields)
    assert len(set(SEARCHABLE)) == len(SEARCHABLE)


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TranslationSettings().seed = 3  # type: ignore[misc]
