"""Settings of a run: one tree, read from YAML and `--set key=value`, checked before anything is built or written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from nmt_pbt.errors import UsageError, suggest
from nmt_pbt.values import Value
from nmt_pbt.yaml_text import dump_yaml, parse_yaml, read_yaml

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
MOST_SAMPLES = 20
"""Dev sentences that a run can show, at most."""
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Part of a file's name; never a path out of the folder it is looked for in."""


Model = TypeVar("Model", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class CorpusSettings(_Section):
    """Which sentence pairs, how many, and how they are cut into subwords."""

    name: str = "toy"
    """A corpus of the catalog (`nmt-pbt data list`) or a folder with train.SRC, train.TGT, val.*, test*.*"""
    source_language: FileName = "en"
    """Language of the text to translate: the file suffix in a folder"""
    target_language: FileName = "de"
    """Language to translate into: the file suffix in a folder"""
    train_pairs: Count | None = None
    """Use only so many training pairs, drawn by the seed; null uses all of them"""
    dev_pairs: Count | None = None
    """Use only the first so many dev pairs; null uses all of them"""
    test_pairs: Count | None = None
    """Use only the first so many test pairs; null uses all of them"""
    max_length: Annotated[int, Field(ge=4)] = 60
    """Training pairs with more subwords than this on either side are left out, and counted"""
    vocabulary_size: Annotated[int, Field(ge=16)] = 400
    """Subwords in the joint vocabulary of both languages"""


class ModelSettings(_Section):
    """The attention LSTM encoder-decoder. These values decide weight shapes."""

    embedding_units: Count = 96
    """Width of the subword embeddings"""
    units: Count = 128
    """Width of the decoder's LSTM and of each direction of the encoder's"""
    encoder_layers: Count = 1
    """Bidirectional LSTM layers of the encoder"""
    decoder_layers: Count = 1
    """LSTM layers of the decoder"""
    attention: Literal["additive", "general", "dot"] = "general"
    """Score function: additive (Bahdanau et al. 2015), general or dot (Luong et al. 2015)"""
    tie_embeddings: Literal["none", "output", "all"] = "all"
    """`output` shares the decoder's embedding with the softmax, `all` the encoder's too"""
    variational_dropout: bool = False
    """Drop embeddings and states between layers by one mask a sequence, instead of one a position (Gal & Ghahramani
    2016)"""

    layer_normalisation: bool = False
    """Normalise the LSTMs' projections and cells (Ba et al. 2016)"""
    input_feeding: bool = False
    """The decoder reads the attentional vector of the position before, too (Luong et al. 2015); training is slower, as
    positions cannot be computed at once"""


class TrainingSettings(_Section):
    """Values in force where the search space names nothing else."""

    epochs: Positive = 24.0
    """Passes over the training pairs: by each member of a population, and by each trial of the other methods"""
    learning_rate: Positive = 4e-3
    """Adam's step size"""
    batch_size: Count = 16
    """Sentence pairs in one step"""
    dropout: Rate = 0.2
    """Rate on embeddings, between layers and on the attention vector"""
    recurrent_dropout: Rate = 0.1
    """Rate on the LSTMs' recurrent state, one mask a sequence (Gal & Ghahramani 2016)"""
    label_smoothing: Rate = 0.0
    """Probability mass spread over the whole vocabulary in the training loss; never in the reported loss"""
    clip_norm: Positive = 1.0
    """Largest global norm of the gradient"""
    word_dropout: Rate = 0.0
    """Rate on whole subwords: all of a position's embedding is dropped, in the source and the target's prefix"""
    subword_sampling: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the training text's words that are cut into subwords by a draw, anew each epoch (Kudo 2018)"""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Share of each matrix taken off in a step, times the learning rate; apart from the gradient (Loshchilov & Hutter
    2019)"""
    average_decay: Rate = 0.99
    """Share of the moving average that a step keeps: for averaging `exponential`"""
    learning_rate_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What the learning rate is multiplied with each epoch, in steps at the evaluations; 1 leaves it"""
    plateau_factor: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What the learning rate is multiplied with when val_loss has stopped falling; 1 leaves it"""
    plateau_patience: Count = 1
    """Evaluations in a row without a lower val_loss before the learning rate is cut"""
    averaging: Literal["none", "exponential", "checkpoints"] = "none"
    """Weights that are evaluated and translate. `none`: those trained. `exponential`: their moving average.
    `checkpoints`: the mean of those at the last evaluations"""
    averaged_checkpoints: Annotated[int, Field(ge=2, le=20)] = 5
    """Evaluations whose weights are averaged: for `checkpoints`"""
    early_stopping: Count | None = None
    """Evaluations in a row without a better objective before `train` stops; null never. `compare` refuses it: its
    methods all train equally long"""


class NumberDomain(_Section):
    """A range of numbers to search."""

    min: float
    """Smallest value"""
    max: float
    """Largest value, included"""
    scale: Literal["linear", "log"] = "linear"
    """Whether steps add or multiply"""
    step: Positive | None = None
    """Grid inside the range: a difference on a linear scale"""
    integer: bool = False
    """Whole numbers only"""

    @model_validator(mode="after")
    def _ordered(self) -> NumberDomain:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; swap them")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"min {self.min:g} on a log scale; a log scale needs min > 0")
        if self.scale == "log" and self.step is not None:
            raise ValueError("step is for a linear scale; leave it out")
        if self.integer and (self.min != int(self.min) or self.max != int(self.max)):
            raise ValueError("integer needs whole numbers for min and max")
        return self


class ChoiceDomain(_Section):
    """A list of values to search."""

    choices: Annotated[list[Value], Field(min_length=1)]
    """The values, in their order if they have one"""
    ordered: bool | None = None
    """Whether a step goes to a neighbour; null: yes for numbers, no for words"""

    @model_validator(mode="after")
    def _distinct(self) -> ChoiceDomain:
        if len({(type(value).__name__, value) for value in self.choices}) != len(self.choices):
            raise ValueError("a choice is listed twice; remove it")
        return self


def _kind(value: object) -> str:
    listed = "choices" in value if isinstance(value, Mapping) else isinstance(value, ChoiceDomain)
    return "<choice>" if listed else "<number>"


Domain = Annotated[
    Annotated[NumberDomain, Tag("<number>")] | Annotated[ChoiceDomain, Tag("<choice>")], Discriminator(_kind)
]


def _default_space() -> dict[str, Domain]:
    return {
        "learning_rate": NumberDomain(min=3e-4, max=1e-2, scale="log"),
        "dropout": NumberDomain(min=0.0, max=0.6),
        "recurrent_dropout": NumberDomain(min=0.0, max=0.5),
        "batch_size": ChoiceDomain(choices=[16, 32, 64, 128]),
    }


class PBTSettings(_Section):
    """Population Based Training (Jaderberg et al. 2017)."""

    synchronous: bool = True
    """All members finish a generation before any of them adopts another; false lets free workers go on at once, for
    workers of uneven speed, at the price of lineages of uneven length"""
    exploit: Literal["truncation", "tournament", "ttest", "bootstrap", "backtrack"] = "truncation"
    """Who adopts whom. `truncation`: the bottom fraction from the top fraction. `tournament`: whoever loses against a
    member drawn at random. `ttest`: the same, when the last evaluations differ significantly. `bootstrap`: the same,
    when BLEU differs significantly over resampled dev sentences. `backtrack`: the bottom fraction from the best states
    there have been"""
    fraction: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    """Share of the population that is at the bottom, and at the top: for `truncation` and `backtrack`"""
    significance: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """Largest p-value that counts as a difference: for `ttest` (one-sided) and `bootstrap` (two-sided)"""
    evaluations: Annotated[int, Field(ge=2, le=10)] = 5
    """Last evaluations that are compared: for `ttest`"""
    explore: Literal["perturb", "pb2"] = "perturb"
    """How adopted values move. `perturb`: by a step, or afresh. `pb2`: a Gaussian process chooses (Parker-Holder et al.
    2020)"""
    frequencies: list[Count] = []
    """Sub-populations, each deciding within itself after so many intervals, for instance [1, 4], with migration between
    them: against greed (Doulazmi et al. 2025). Empty: one population that decides after every interval"""
    burn_in: Annotated[float, Field(ge=0.0)] = 0.0
    """Epochs of training before a member may adopt or be adopted from"""
    factor: Annotated[float, Field(gt=1.0)] = 1.25
    """A step on a log scale multiplies or divides by this"""
    fraction_of_range: Annotated[float, Field(gt=0.0, le=1.0)] = 0.15
    """A step on a linear scale adds or subtracts this share of the range"""
    resample_probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Chance that explore draws a value afresh instead of a step"""
    frozen: list[str] = []
    """Hyperparameters of the space that explore leaves alone"""
    initial: list[dict[str, Value]] = []
    """Values to start the first members with; what is left out is drawn from the space"""


class GridSettings(_Section):
    """Grid search."""

    levels: dict[str, list[Value]] = {}
    """Values to cross, by hyperparameter; those left out get evenly spread levels that fit the budget"""


class BayesSettings(_Section):
    """Bayesian optimisation with a Gaussian process (KerasTuner's)."""

    initial_points: Count = 3
    """Random trials before the first suggestion"""
    exploration: Positive = 2.6
    """Weight of uncertainty in the upper confidence bound"""


class HyperbandSettings(_Section):
    """Hyperband (Li et al. 2018; KerasTuner's), whose unit is the interval between evaluations."""

    factor: Annotated[int, Field(ge=2)] = 3
    """One trial in so many goes on, for so many times as long"""


class ManualSettings(_Section):
    """Values somebody chose by hand."""

    guesses: list[dict[str, Value]] = []
    """Values to try in order; what is left out is as in the sections training and model"""


class Stretch(_Section):
    """A part of a schedule: constant values for so long."""

    epochs: Positive
    """How long, in epochs"""
    values: Annotated[dict[str, Value], Field(min_length=1)]
    """The hyperparameters in force"""


class ReplaySettings(_Section):
    """Training from fresh weights by what PBT found: the methods `replay` and `final-values`."""

    schedule: list[Stretch] = []
    """What to replay, from the beginning of training; empty: what `pbt` found in this run with the same seed"""
    models: Count | None = None
    """Models to train, each from other weights; null: as many as fit into the budget"""


class SearchSettings(_Section):
    """What is searched, by which methods, for which budget."""

    methods: Annotated[list[str], Field(min_length=1)] = ["pbt", "random", "grid", "bayes"]
    """Methods to compare"""
    objective: Literal["val_bleu", "val_chrf", "val_loss"] = "val_bleu"
    """The dev metric that decides"""
    seeds: Count = 1
    """How often each whole search is repeated, with seeds seed, seed + 1, ..."""
    population: Annotated[int, Field(ge=2)] = 6
    """Members of the population; the other methods get the same budget: population x epochs"""
    interval: Positive = 1.0
    """Epochs between two evaluations, for every method, and between two decisions of PBT"""
    space: Annotated[dict[str, Domain], Field(min_length=1)] = Field(default_factory=_default_space)
    """Hyperparameters to search"""
    pbt: PBTSettings = PBTSettings()
    """Population Based Training"""
    grid: GridSettings = GridSettings()
    """Grid search"""
    bayes: BayesSettings = BayesSettings()
    """Bayesian optimisation"""
    hyperband: HyperbandSettings = HyperbandSettings()
    """Hyperband"""
    manual: ManualSettings = ManualSettings()
    """Guesses by hand"""
    replay: ReplaySettings = ReplaySettings()
    """Replays of a schedule"""


class EvaluationSettings(_Section):
    """How translations are made and scored."""

    batch_size: Count = 128
    """Sentences decoded together"""
    beam: Count = 5
    """Beam width on the test split and in `translate`; the dev split is decoded greedily"""
    length_penalty: Annotated[float, Field(ge=0.0)] = 1.0
    """Exponent of the length normalisation (Wu et al. 2016)"""
    coverage_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the penalty for source positions that were not attended to (Wu et al. 2016)"""
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 2
    """Dev sentences whose translations are shown and recorded whenever a search finds a better model"""
    kept_models: Count = 1
    """Models of each search that stay on the disk: its winner, and the best other members of its population, which can
    translate together with it"""


class EngineSettings(_Section):
    """Where trials run."""

    name: Literal["inline", "ray"] = "inline"
    """`inline`: in this process; `ray`: in worker processes, on this machine or a cluster"""
    workers: Count = 1
    """Trials under way at once, of each search at most twice the population"""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of one worker; 0 uses all cores inline, one with Ray"""
    address: str | None = None
    """A Ray cluster's address; null starts Ray on this machine, reachable from it alone"""
    gpus: Annotated[float, Field(ge=0.0)] = 0.0
    """GPUs to reserve for each Ray worker; fractions allowed"""


class Settings(_Section):
    """The whole tree."""

    name: FileName | None = None
    """Name of the run: its folder under results/; null takes the corpus's name"""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random"""
    corpus: CorpusSettings = CorpusSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    engine: EngineSettings = EngineSettings()

    @property
    def run_name(self) -> str:
        """The run's name: as given, or else after its corpus."""
        return self.name or re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.corpus.name).name)[:100].strip("-.") or "run"

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = set(SEARCHABLE)
        for name in self.search.space:
            if name not in known:
                raise ValueError(f"search.space.{name}: no such hyperparameter{suggest(name, known)}")
            _check_domain(name, self.search.space[name])
        check_stretches(self.search.replay.schedule)
        if self.search.interval > self.training.epochs:
            raise ValueError(
                f"search.interval {self.search.interval:g} is longer than training.epochs {self.training.epochs:g}; "
                "make it shorter"
            )
        return self


MUTABLE = (
    "learning_rate",
    "batch_size",
    "dropout",
    "recurrent_dropout",
    "label_smoothing",
    "clip_norm",
    "word_dropout",
    "subword_sampling",
    "weight_decay",
    "average_decay",
    "learning_rate_decay",
    "plateau_factor",
    "plateau_patience",
)
"""Hyperparameters that may change during training, in `TrainingSettings`."""
STRUCTURAL = (
    "embedding_units",
    "units",
    "encoder_layers",
    "decoder_layers",
    "attention",
    "variational_dropout",
    "layer_normalisation",
    "input_feeding",
)
"""Hyperparameters that a model is built with, most of them shapes, in `ModelSettings`."""
SEARCHABLE = (*MUTABLE, *STRUCTURAL, "epochs")
_DOMAIN_NAMES = [*NumberDomain.model_fields, *ChoiceDomain.model_fields]


def _check_domain(name: str, domain: NumberDomain | ChoiceDomain) -> None:
    """Refuse a domain that holds a value which the setting itself would not take."""
    section = ModelSettings if name in STRUCTURAL else TrainingSettings
    whole = section.model_fields[name].annotation is int
    if isinstance(domain, NumberDomain) and whole and not domain.integer:
        raise ValueError(f"search.space.{name}: takes whole numbers; add integer: true, or list choices")
    if isinstance(domain, ChoiceDomain):
        held: Sequence[Value] = domain.choices
    else:
        held = [int(end) if domain.integer else end for end in (domain.min, domain.max)]
    for value in held:
        check_value(name, value, f"search.space.{name}")


def check_value(name: str, value: Value, where: str) -> None:
    """Refuse a value that a hyperparameter's own setting would not take.

    Args:
        name: One of `MUTABLE`, `STRUCTURAL` or `epochs`.
        value: Its value.
        where: What to name in the error.

    Raises:
        ValueError: It is out of place.
    """
    section = ModelSettings if name in STRUCTURAL else TrainingSettings
    try:
        section.model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise ValueError(f"{where}: {value!r} is out of place ({message}); correct it") from None


def check_stretches(stretches: Sequence[Stretch]) -> None:
    """Refuse stretches that no one model can be trained with.

    Raises:
        ValueError: A name or value is not a hyperparameter's, a stretch names others than the first, or the shape of
            the model changes.
    """
    known = (*MUTABLE, *STRUCTURAL)
    for number, stretch in enumerate(stretches, start=1):
        where = f"stretch {number} of the schedule"
        for name, value in stretch.values.items():
            if name not in known:
                raise ValueError(f"{where}: no hyperparameter '{name}' to put in force{suggest(name, known)}")
            check_value(name, value, f"{where}: {name}")
        for name in {**stretches[0].values, **stretch.values}:
            if name not in stretch.values or name not in stretches[0].values:
                raise ValueError(f"{where}: {name} is named in some stretches only; give it a value in each")
            if name in STRUCTURAL and stretch.values[name] != stretches[0].values[name]:
                raise ValueError(f"{where}: {name} changes the model's shape, so it has to stay as in the first")


def load_settings(
    path: Path | None = None, assignments: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read settings: defaults, then a YAML file, then overrides, then `key=value` assignments, the later winning.

    Args:
        path: A YAML file; None takes the embedded defaults.
        assignments: Dotted `key=value` texts; the value is YAML, for instance `search.pbt.fraction=0.2`.
        overrides: Dotted keys to values, for options of the command line that have a name of their own.

    Returns:
        The checked settings.

    Raises:
        UsageError: The file or a value cannot be used; says which key, and the nearest known one for a misspelt key.
    """
    where = str(path) if path is not None else "settings"
    settings = checked(Settings, read_yaml(path) if path is not None else {}, where)
    if not overrides and not assignments:
        return settings
    # What the command line sets is laid over the whole resolved tree: one hyperparameter of the space can be changed
    # without naming the others.
    tree = settings.model_dump(mode="json")
    where = "settings"
    for key, value in (overrides or {}).items():
        _assign(tree, key, value)
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or not all(part.strip() for part in key.split(".")):
            raise UsageError(f"--set {_short(text)}: expected key=value, for instance --set training.dropout=0.3")
        _assign(tree, key.strip(), parse_yaml(value, f"--set {_short(text)}"))
    return checked(Settings, tree, where)


def _assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, last = dotted.split(".")
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            raise UsageError(f"{dotted}: '{section}' is a value, not a section; remove the part after it")
        tree = below
    tree[last] = value


def checked(kind: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """Make a record of plain data.

    Args:
        kind: The record's class.
        tree: Names and values, as YAML holds them.
        where: What to name in an error.

    Raises:
        UsageError: They are not what the class takes; one line on the first problem.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_problem(error, kind)}") from None


def _first_problem(error: ValidationError, kind: type[BaseModel]) -> str:
    # A misspelt name explains a missing one: tell it first.
    problem = max(error.errors(), key=lambda item: item["type"] == "extra_forbidden")
    # Between the names of settings, pydantic puts those of union members: our tags, and plain types.
    parts = map(str, problem["loc"])
    location = [_short(part) for part in parts if not re.fullmatch(r"<\w+>|bool|int|float|str", part)]
    name = ".".join(location)
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden" if location[:2] == ["search", "space"] and location[-1] in _DOMAIN_NAMES:
            return (
                f"{name}: a domain has either min and max, or choices; give it whole, "
                f"for instance --set '{'.'.join(location[:-1])}={{choices: [1, 2]}}'"
            )
        case "extra_forbidden":
            return f"{name}: no such setting{suggest(location[-1], _names_beside(location, kind))}"
        case "value_error":
            return f"{name}: {message}" if name else message
        case "missing":
            return f"{name}: is missing; add it"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{name}: expected settings under this name; add some, or remove it"
        case "bool_type" if problem["loc"][-1] == "bool":
            return f"{name}: expected a number, a word, true or false; correct it"
        case "bool_type":
            return f"{name}: expected true or false; correct it"
    shown = problem["input"]
    got = f", got {_short(repr(shown))}" if isinstance(shown, (str, int, float, bool)) else ""
    return f"{name}: {message[:1].lower()}{message[1:]}{got}; correct it"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _names_beside(location: list[str], root: type[BaseModel]) -> list[str]:
    """Return the names of the settings in the section that the last part of `location` was looked for in."""
    section = root
    for part in location[:-1]:
        if part.isdecimal():  # a place in a list, whose items the name before it has told
            continue
        field = section.model_fields.get(part)
        kind = field.annotation if field is not None else None
        if get_origin(kind) is list:
            kind = get_args(kind)[0]
        # On Python 3.10 a generic alias such as dict[str, Domain] passes for a type.
        if get_origin(kind) is not None or not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return _DOMAIN_NAMES
        section = kind
    return list(section.model_fields)


def without_search(settings: Settings) -> Settings:
    """Return settings whose space holds the training values alone: nothing is left to search."""
    space = {name: ChoiceDomain(choices=[getattr(settings.training, name)]) for name in MUTABLE}
    search = settings.search.model_copy(update={"space": space, "pbt": PBTSettings()})
    return settings.model_copy(update={"search": search})


def dump_settings(settings: Settings) -> str:
    """Return settings as YAML text that `load_settings` reads back to the same settings."""
    return dump_yaml(settings.model_dump(mode="json"))


def deciding_settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a settings tree what decides what one search finds.

    Left out are the run's name, where it runs, where its corpus lies (what the corpus holds has a hash of its own),
    what is shown and kept of it, and which methods and how many seeds: more of these can be added to a run without
    changing those that are there.
    """
    kept = {name: value for name, value in tree.items() if name not in ("name", "engine")}
    for section, left_out in (
        ("corpus", ("name",)),
        ("search", ("methods", "seeds")),
        ("evaluation", ("samples", "kept_models")),
    ):
        kept[section] = {name: value for name, value in kept[section].items() if name not in left_out}
    return kept


def settings_hash(tree: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the deciding settings of a tree, as it stands in a run's settings.yaml.

    It is taken of the file, not of settings read from it: these may have gained names since the run was begun.
    """
    text = json.dumps(deciding_settings(tree), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
