"""Settings of corpus, model, training and evaluation. A field marked `Searchable` is a hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from nmt_pbt.base.errors import suggest
from nmt_pbt.base.section import Count, FileName, NotNegative, Positive, Rate, Section
from nmt_pbt.base.types import Value
from nmt_pbt.space.declarations import Searchable, declared_hyperparameters
from nmt_pbt.tasks.translation.scoring.bleu_tokenizer import DEFAULT, TOKENIZERS

Pairs = Annotated[int, Field(ge=1, le=1_000_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=100_000)]
Width = Annotated[int, Field(ge=1, le=16_384)]
Layers = Annotated[int, Field(ge=1, le=32)]
WIDEST_BEAM = 1000
"""Widest beam of which a sentence can be decoded on an ordinary machine."""

LONGEST_NGRAM = 100
"""Longest n-grams whose repetition can be blocked."""


class CorpusSettings(Section):
    """Which sentence pairs, how many, and how they are cut into subwords."""

    decides_nothing: ClassVar[frozenset[str]] = frozenset({"name"})
    earlier_values: ClassVar[Mapping[str, object]] = {
        "test_set": None,
        "byte_fallback": False,
        "normalization": "nmt_nfkc",
    }

    name: str = "toy"
    """A corpus of the catalog (`nmt-pbt data list`) or a folder with train.SRC, train.TGT, val.*, test*.*"""
    source_language: FileName = "en"
    """Language of the text to translate: the file suffix in a folder"""
    target_language: FileName = "de"
    """Language to translate into: the file suffix in a folder"""
    train_pairs: Pairs | None = None
    """Use only so many training pairs, drawn by the seed; null uses all of them"""
    dev_pairs: Pairs | None = None
    """Use only the first so many dev pairs; null uses all of them"""
    test_pairs: Pairs | None = None
    """Use only the first so many test pairs; null uses all of them"""
    test_set: FileName | None = None
    """If a folder has several test sets, the one that methods are compared by; null: the first in alphabetical order.
    Each winner is scored on all of them"""
    max_length: Annotated[int, Field(ge=4, le=10_000)] = 60
    """Training pairs with more subwords than this on either side are left out, and counted"""
    vocabulary_size: Annotated[int, Field(ge=6, le=1_000_000)] = 400
    """Subwords in the joint vocabulary of both languages, including four special ones"""
    byte_fallback: bool = False
    """Cut a character that is not in the vocabulary into its bytes. Without it such a character is unknown, and no
    translation can hold it. 256 of the subwords are bytes then, and the rarest characters, one in 2,000, are learned as
    bytes"""
    normalization: Literal["nfc", "nmt_nfkc"] = "nfc"
    """What is done to text before it is cut into subwords. `nfc` loses nothing: a letter and its accents become one
    character. `nmt_nfkc`, as most translation models have it, folds what is alike too, so that a model never writes
    ½, …, № or full-width letters, which become 1/2, ..., No and plain ones"""


class ModelSettings(Section):
    """The attention LSTM encoder-decoder. These values decide weight shapes."""

    # Each field is a constructor argument of `model.seq2seq.Seq2Seq`.

    embedding_units: Annotated[Width, Searchable(mutable=False)] = 96
    """Width of the subword embeddings"""
    units: Annotated[Width, Searchable(mutable=False)] = 128
    """Width of the decoder's LSTM and of each direction of the encoder's"""
    encoder_layers: Annotated[Layers, Searchable(mutable=False)] = 1
    """Bidirectional LSTM layers of the encoder"""
    decoder_layers: Annotated[Layers, Searchable(mutable=False)] = 1
    """LSTM layers of the decoder"""
    attention: Annotated[Literal["additive", "general", "dot"], Searchable(mutable=False)] = "general"
    """Score function: additive (Bahdanau et al. 2015), general or dot (Luong et al. 2015)"""
    tie_embeddings: Literal["none", "output", "all"] = "all"
    """`output` shares the decoder's embedding with the softmax, `all` the encoder's too"""
    variational_dropout: Annotated[bool, Searchable(mutable=False)] = False
    """Use one dropout mask a sequence, not one a position, for embeddings and states between layers (Gal & Ghahramani
    2016)"""

    layer_normalisation: Annotated[bool, Searchable(mutable=False)] = False
    """Normalise the LSTMs' projections and cells (Ba et al. 2016)"""
    input_feeding: Annotated[bool, Searchable(mutable=False)] = False
    """The decoder also reads the attentional vector of the previous position (Luong et al. 2015). Training is slower,
    because positions cannot be computed at once"""


class TrainingSettings(Section):
    """Values of hyperparameters that are not searched."""

    earlier_values: ClassVar[Mapping[str, object]] = {"consistency": 0.0}

    epochs: Annotated[Positive, Searchable(mutable=False)] = 24.0
    """Passes over the training pairs: by each member of a population, and by each trial of the other methods"""
    learning_rate: Annotated[Positive, Searchable(mutable=True)] = 4e-3
    """Adam's step size"""
    batch_size: Annotated[BatchSize, Searchable(mutable=True)] = 16
    """Sentence pairs in one step"""
    dropout: Annotated[Rate, Searchable(mutable=True)] = 0.2
    """Rate on embeddings, between layers and on the attention vector"""
    recurrent_dropout: Annotated[Rate, Searchable(mutable=True)] = 0.1
    """Rate on the LSTMs' recurrent state, one mask a sequence (Gal & Ghahramani 2016)"""
    label_smoothing: Annotated[Rate, Searchable(mutable=True)] = 0.0
    """Probability mass spread over the whole vocabulary in the training loss; never in the reported loss"""
    clip_norm: Annotated[Positive, Searchable(mutable=True)] = 1.0
    """Largest global norm of the gradient"""
    word_dropout: Annotated[Rate, Searchable(mutable=True)] = 0.0
    """Rate on whole subwords: the whole embedding of a position is dropped, in the source and in the target's prefix"""
    subword_sampling: Annotated[float, Field(ge=0.0, le=1.0), Searchable(mutable=True)] = 0.0
    """Share of the words of the training text that are cut into randomly drawn subwords, anew each epoch (Kudo 2018). A
    sentence that would then be longer than `corpus.max_length` stays as it is"""
    consistency: Annotated[NotNegative, Searchable(mutable=True)] = 0.0
    """Weight of the divergence between what two passes over a batch predict, each with its own dropout masks (R-Drop,
    Liang et al. 2021, who take 5). Above 0, a step takes more than twice the time and the memory; in the budget a pair
    still counts once"""
    weight_decay: Annotated[NotNegative, Searchable(mutable=True)] = 0.0
    """Share of each matrix that a step subtracts, times the learning rate; decoupled from the gradient (Loshchilov &
    Hutter 2019)"""
    average_decay: Annotated[Rate, Searchable(mutable=True)] = 0.99
    """Share of the moving average that is kept in each step: for averaging `exponential`"""
    learning_rate_decay: Annotated[float, Field(gt=0.0, le=1.0), Searchable(mutable=True)] = 1.0
    """Factor by which the learning rate is multiplied each epoch, in steps at the evaluations; 1 keeps it constant"""
    plateau_factor: Annotated[float, Field(gt=0.0, le=1.0), Searchable(mutable=True)] = 1.0
    """Factor by which the learning rate is multiplied when val_loss has stopped falling; 1 keeps it constant"""
    plateau_patience: Annotated[Count, Searchable(mutable=True)] = 1
    """Evaluations in a row without a lower val_loss before the learning rate is cut"""
    averaging: Literal["none", "exponential", "checkpoints"] = "none"
    """Which weights are evaluated and used to translate. `none`: the trained ones. `exponential`: their moving average.
    `checkpoints`: their mean over the last evaluations"""
    averaged_checkpoints: Annotated[int, Field(ge=2, le=20)] = 5
    """Number of evaluations whose weights are averaged: for `checkpoints`"""
    early_stopping: Count | None = None
    """Evaluations in a row without a better objective before `train` stops; null: never. `compare` refuses it, because
    all its methods train equally long"""


MOST_SAMPLES = 20
"""Dev sentences that a run can show, at most."""


class EvaluationSettings(Section):
    """How translations are made and scored."""

    decides_nothing: ClassVar[frozenset[str]] = frozenset({"samples", "kept_models"})
    earlier_values: ClassVar[Mapping[str, object]] = {"tokenize": DEFAULT, "no_repeat_ngram_size": 0}

    batch_size: BatchSize = 128
    """Sentences decoded together"""
    beam: Annotated[int, Field(ge=1, le=WIDEST_BEAM)] = 5
    """Beam width on the test split and in `translate`; the dev split is decoded greedily"""
    length_penalty: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    """Exponent of the length normalisation (Wu et al. 2016)"""
    coverage_penalty: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0
    """Weight of the penalty for source positions that were not attended to (Wu et al. 2016)"""
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=LONGEST_NGRAM)] = 0
    """No n-gram of so many subwords may occur twice in a translation, on the test split and in `translate` (Paulus et
    al. 2018); 0 allows all"""
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 2
    """Dev sentences whose translations are shown and recorded whenever a search finds a better model"""
    kept_models: Count = 1
    """Models of each search that are kept on the disk: its winner, and the best other members of its population, which
    can translate together with it"""
    tokenize: str | None = None
    """sacrebleu's tokenizer for BLEU: `13a`, `zh`, `ja-mecab`, `ko-mecab`, `char`, `intl`, `flores200`, ... null: the
    one that sacrebleu's own command takes for the target language; characters for Thai and similar languages"""

    @field_validator("tokenize")
    @classmethod
    def _known_tokenizer(cls, name: str | None) -> str | None:
        if name is not None and name not in TOKENIZERS:
            raise ValueError(f"sacrebleu has no tokenizer '{name}'{suggest(name, TOKENIZERS)}")
        return name


_OF_TRAINING = declared_hyperparameters(TrainingSettings)
_OF_MODEL = declared_hyperparameters(ModelSettings)
HYPERPARAMETERS = {declared.name: declared for declared in (*_OF_TRAINING, *_OF_MODEL)}
"""The hyperparameters of translation, by name."""
SEARCHABLE = tuple(HYPERPARAMETERS)
"""Names that a search space may hold."""
MUTABLE = tuple(declared.name for declared in _OF_TRAINING if declared.mutable)
"""Names of those that may change during training."""
STRUCTURAL = tuple(declared.name for declared in _OF_MODEL)
"""Names of those that a model is built with, most of them shapes."""


def check_value(name: str, value: Value, where: str) -> None:
    """Refuse a value of a hyperparameter; see `Hyperparameter.check`."""
    HYPERPARAMETERS[name].check(value, where)
