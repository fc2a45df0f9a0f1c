"""What KerasTuner's users report of their models, one row a situation: what Hyperband does, and what ours does.

The yardstick: a model that Hyperband can tune, PBT can tune, and its recorded score is that of its state; what cannot
be carried on is refused before anything is trained, in a line that is right about the cause. What is said of Hyperband
holds for KerasTuner 1.4.8 with Keras 3; `pytest -m slow tests/keras/test_situations.py` tries the rows of `HYPERBAND`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import keras_tuner
import pytest

from tests.keras.keras_models import Live, build, data
from tests.keras.test_faults_of_use import Adapts, Paired, averaging, build_late, rate

HERE = Path(__file__).parent


class Situation(NamedTuple):
    """A row of the table."""

    number: int
    what: str
    hyperband: str
    ours: str
    shown_by: str
    """Names of tests in this folder."""


SITUATIONS = (
    Situation(
        1,
        "a model without Input, or subclassed, with a Dropout",
        "trains it",
        "trains it, with and without apply",
        "test_a_model_without_input_whose_dropout_has_a_seed_before_it_is_built",
    ),
    Situation(
        2,
        "an optimizer with use_ema",
        "the score is that of the saved weights; a promoted model goes on from them, its average is lost",
        "the same score; training goes on from the weights, and the average is inherited beside them",
        "test_training_goes_on_from_the_weights_and_not_from_their_average",
    ),
    Situation(
        3,
        "EarlyStopping(restore_best_weights=True)",
        "scores and saves the best epoch",
        "scores the state that is kept; refused where it would end an interval",
        "test_the_score_is_of_the_state_that_a_callback_restored test_a_callback_that_would_end_an_interval_is_refused "
        "test_the_score_is_of_the_last_epoch_where_validation_is_rarer",
    ),
    Situation(
        4,
        "HyperModel.fit adapts a Normalization layer",
        "the best model evaluates to its score",
        "so it does",
        "test_an_adapted_normalization_layer_is_inherited",
    ),
    Situation(
        5,
        "own train_step, two optimizers given to compile",
        "a promoted model has not all of their slots",
        "both are inherited",
        "test_optimizers_that_only_train_step_builds_are_inherited test_all_optimizers_of_a_model_are_inherited",
    ),
    Situation(
        6,
        "optimizers in a list",
        "a promoted model has not all of their slots",
        "all are inherited",
        "test_optimizers_that_only_train_step_builds_are_inherited",
    ),
    Situation(
        7,
        "an optimizer made inside HyperModel.fit",
        "each trial begins with a fresh one",
        "refused: compile in build(hp)",
        "test_an_optimizer_made_in_fit_is_refused",
    ),
    Situation(
        8,
        "an unnamed keras.metrics.AUC(), objective val_auc",
        "finds it: Keras's names are reset before each build",
        "finds it, whatever Keras counts up",
        "test_a_metric_without_a_name_is_found_whatever_keras_counts_up",
    ),
    Situation(
        9,
        "distribution_strategy=MirroredStrategy()",
        "trains each trial under it",
        "refused at construction, with workers= in its place",
        "test_arguments_that_there_are_not_are_named",
    ),
    Situation(
        10,
        "run_trial of one's own",
        "runs it",
        "refused at construction: HyperModel.fit, or PBTOracle",
        "test_run_trial_of_ones_own_is_refused",
    ),
    Situation(
        11,
        "the same script twice at once in one folder",
        "both write there",
        "the second is refused, and nothing is lost",
        "test_a_second_process_in_the_same_folder_is_refused_and_the_first_goes_on",
    ),
    Situation(
        12,
        "the same folder with another objective",
        "goes on with the old scores",
        "refused: the settings changed",
        "test_a_folder_is_gone_on_with_by_the_same_search_alone",
    ),
    Situation(
        13,
        "LearningRateScheduler(lambda epoch, rate: rate / 2)",
        "a promoted model begins with the undecayed rate",
        "the decay goes on along the lineage, and is a column of the schedule; other hyperparameters: refused",
        "test_what_a_callback_does_to_the_learning_rate_goes_on_along_the_lineage_and_is_told "
        "test_a_learning_rate_that_a_callback_changed_reaches_its_lineage_and_no_other_trial_of_a_live_model "
        "test_a_hyperparameter_in_another_variable_that_training_changes_is_refused "
        "test_a_plateau_that_no_interval_is_long_enough_for_is_refused",
    ),
    Situation(
        14,
        "the same fault in every trial, such as labels of the wrong kind",
        "ends after three, with the traceback of the last",
        "ends with the reason and its place in the user's code",
        "test_a_fault_of_the_users_code_is_told_with_its_place test_the_first_line_of_a_graph_error_is_not_its_reason "
        "test_labels_of_the_wrong_kind_are_told_in_a_line",
    ),
    Situation(
        15,
        "a loop over range(epochs) in HyperModel.fit",
        "trains a promoted model for all epochs anew",
        "refused: from initial_epoch to epochs",
        "test_a_loop_over_all_epochs_in_fit_is_refused",
    ),
    Situation(
        16,
        "run_trial of one's own, no hypermodel",
        "runs it, with hyperparameters=",
        "told to use PBTOracle(hyperparameters=...)",
        "test_run_trial_of_ones_own_is_refused test_the_oracle_serves_a_tuner_of_ones_own",
    ),
    Situation(
        17,
        "objective val_loss without validation data",
        "ends after three failed trials",
        "refused: give validation_data",
        "test_what_fit_cannot_be_given_is_refused_before_anything_is_trained",
    ),
    Situation(
        18,
        "a callback that is not in a list; BackupAndRestore",
        "trials fail; the next trial restores the backup of another",
        "both refused",
        "test_what_fit_cannot_be_given_is_refused_before_anything_is_trained",
    ),
    Situation(
        19,
        "a finite generator",
        "the first trials use it up",
        "refused: give the function that makes it",
        "test_what_fit_cannot_be_given_is_refused_before_anything_is_trained test_a_generator_is_refused",
    ),
    Situation(
        20,
        'hp.Choice("activation", ...)',
        "a promoted model keeps it",
        "told in a line that it may change in mid-training, and how to keep it",
        "test_an_activation_that_may_change_in_mid_training_is_told_with_how_to_keep_it",
    ),
    Situation(
        21,
        "a tf.Variable of one's own train_step",
        "begins anew in a promoted model",
        "inherited",
        "test_a_variable_of_the_backend_that_a_model_holds_itself_is_inherited",
    ),
    Situation(
        22,
        "arguments that there are not, or that are no numbers; a search without a decision",
        "TypeError; epochs of 2.5 and a seed 'x' are taken",
        "one line each, with our name for it",
        "test_arguments_that_there_are_not_are_named test_an_argument_that_cannot_be_used_is_refused_at_construction "
        "test_a_search_in_which_no_model_ever_decides_is_told",
    ),
    Situation(
        23,
        "a finished search run again",
        "returns silently",
        "says that it is finished",
        "test_a_folder_is_gone_on_with_by_the_same_search_alone",
    ),
)


def test_each_situation_of_the_table_has_its_tests() -> None:
    assert [row.number for row in SITUATIONS] == list(range(1, 24))
    there = {
        node.name
        for file in HERE.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert not [(row.number, name) for row in SITUATIONS for name in row.shown_by.split() if name not in there]


# --- what Hyperband does ---


class Seen:
    """What models began with: those that were promoted, and those that were not."""

    def __init__(self) -> None:
        self.fresh: list[Any] = []
        self.promoted: list[Any] = []


def hyperband(folder: Path, hypermodel: Any, dev: Any = None, **fit: Any) -> keras_tuner.Hyperband:
    made = keras_tuner.Hyperband(hypermodel, "val_loss", max_epochs=4, factor=2, seed=0, directory=folder)
    made.search(*data(0), validation_data=dev or data(1, 64), verbose=0, **fit)
    assert {trial.status for trial in made.oracle.trials.values()} == {"COMPLETED"}
    return made


def evaluates_to_its_score(folder: Path, hypermodel: Any, scale: float = 1.0, **fit: Any) -> None:
    x, y = data(1, 64)
    made = hyperband(folder, hypermodel, (scale * x, y), **fit)
    found = made.get_best_models()[0].evaluate(scale * x, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(made.oracle.get_best_trials(1)[0].score, rel=1e-4)


def begins(folder: Path, built: Callable[[Any], Any], look: Callable[[Any, Any], Any], **fit: Any) -> Seen:
    seen = Seen()

    class Looks(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            return built(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            (seen.promoted if hp.values.get("tuner/trial_id") else seen.fresh).append(look(hp, model))
            return model.fit(*args, **kwargs)

    hyperband(folder, Looks(), **fit)
    assert seen.promoted
    return seen


def build_paired(hp: keras_tuner.HyperParameters) -> keras.Model:
    model = Paired()
    model.compile(keras.optimizers.Adam(rate(hp)), keras.optimizers.SGD(0.01), loss="mse", run_eagerly=True)
    return model


def loses_slots(folder: Path) -> None:
    seen = begins(folder, build_paired, lambda hp, model: [int(one.iterations) for _, one in model.pairs()])
    assert all(0 in counts for counts in seen.promoted)


def forgets_the_decay(folder: Path) -> None:
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    seen = begins(
        folder,
        build,
        lambda hp, model: float(model.optimizer.learning_rate) / hp.get("learning_rate"),
        callbacks=[halving],
    )
    assert seen.promoted == pytest.approx([1.0] * len(seen.promoted))


HYPERBAND: dict[int, Callable[[Path], None]] = {
    1: lambda folder: evaluates_to_its_score(folder, build_late),
    2: lambda folder: evaluates_to_its_score(folder, averaging),
    3: lambda folder: evaluates_to_its_score(
        folder, Live(), callbacks=[keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)]
    ),
    4: lambda folder: evaluates_to_its_score(folder, Adapts(), scale=100.0),
    5: loses_slots,
    13: forgets_the_decay,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning")
@pytest.mark.parametrize("number", HYPERBAND)
def test_hyperband_does_what_the_table_says(tmp_path: Path, number: int) -> None:
    HYPERBAND[number](tmp_path)
