"""A live model with its subwords: built from settings, loaded from a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nmt_pbt.base.errors import StateError
from nmt_pbt.base.types import Value
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import AVERAGE, WEIGHTS
from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder
from nmt_pbt.tasks.translation.decoding.output_limit import OutputLimit
from nmt_pbt.tasks.translation.model.runtime import use_threads
from nmt_pbt.tasks.translation.model.seq2seq import Seq2Seq
from nmt_pbt.tasks.translation.settings.sections import STRUCTURAL, ModelSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords


def model_settings(settings: ModelSettings, values: Mapping[str, Value]) -> ModelSettings:
    """Return settings with the structural ones among `values` in place of their own."""
    return settings.model_copy(update={name: values[name] for name in STRUCTURAL if name in values})


class TranslationModel(TextDecoder):
    """A live model that translates; `TranslationTrainable` adds training.

    Args:
        settings: The run's settings.
        subwords: Its subwords.
        values: Hyperparameters; the structural ones decide the model's shapes.
        seed: Of the initial weights.
        limit: The most subwords of a translation.
    """

    def __init__(
        self,
        settings: TranslationSettings,
        subwords: Subwords,
        values: Mapping[str, Value] | None = None,
        seed: int = 0,
        limit: OutputLimit | None = None,
    ) -> None:
        use_threads(settings.engine.threads)
        self.settings = settings
        self.shape = model_settings(settings.model, values or {})
        self.model = Seq2Seq(subwords.size, **self.shape.model_dump(), seed=seed)
        super().__init__([self.model], subwords, settings.evaluation.batch_size, limit)

    def weights(self) -> dict[str, Any]:
        """Return the model's trainable variables by the name they have in a state."""
        return {WEIGHTS + weight.path: weight for weight in self.model.trainable_variables}

    def load(self, state: MemberState) -> None:
        """Take over a state's weights; their averages, where it has some: these are what was evaluated.

        Raises:
            StateError: The state is of a model of another shape.
        """
        averages = {
            WEIGHTS + name.removeprefix(AVERAGE): array
            for name, array in state.arrays.items()
            if name.startswith(AVERAGE)
        }
        assign(self.weights(), MemberState({**state.arrays, **averages}, state.age))


def assign(variables: Mapping[str, Any], state: MemberState) -> None:
    """Copy a state's arrays into variables of the same names.

    Raises:
        StateError: An array is missing or of another shape.
    """
    for name, variable in variables.items():
        array = state.arrays.get(name)
        if array is None or tuple(array.shape) != tuple(variable.shape):
            held = "nothing" if array is None else f"shape {tuple(array.shape)}"
            raise StateError(
                f"{name}: the state holds {held}, the model has shape {tuple(variable.shape)}; "
                "build the model with the state's structural values"
            )
    for name, variable in variables.items():
        variable.value.assign(state.arrays[name])
