"""A trained model that a run keeps on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from nmt_pbt.base.types import Value
from nmt_pbt.tasks.protocol import MemberState, Task, Trainable

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class KeptModel(Generic[Settings]):
    """A model of a run.

    Attributes:
        name: Of its file: `METHOD-seedSEED` for a winner; for another member, that of its state.
        trial: The trial it comes from.
        values: Its hyperparameters.
        objective: The dev metric that decided.
        score: That metric's value.
        run: Folder of the run it belongs to.
        settings: The run's settings.
        data_digest: SHA-256 of what the run trains and tests on.
    """

    name: str
    trial: str
    values: dict[str, Value]
    objective: str
    score: float
    run: Path
    settings: Settings
    data_digest: str

    @property
    def folder(self) -> Path:
        """Where the run keeps its models."""
        return self.run / "models"

    @property
    def is_there(self) -> bool:
        """Whether its file is there; a run may have been shared without its models."""
        return (self.folder / f"{self.name}.safetensors").is_file()

    def __str__(self) -> str:
        return f"{self.name} ({self.objective} {self.score:.2f})"


def revived(task: Task, values: Mapping[str, Value], state: MemberState) -> Trainable:
    """Build a model that holds a saved state, with its values in force.

    Args:
        task: Builds it.
        values: All its hyperparameters.
        state: The state.
    """
    trainable = task.build({name: value for name, value in values.items() if name in task.structural})
    trainable.load(state)
    trainable.set_hyperparameters(values)  # after the load, which brings the state's own with it
    return trainable
