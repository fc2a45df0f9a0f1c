"""Whether a live model took over what it should: checked at every start from a saved state.

Other systems fail here silently. Right after the load everything the donor's state holds has to be in the live model:
weights, optimizer slots and iteration count, generator, position in the data. After that the job's own values have to
be in force, not those that came with the load. When the job is over, its state has to go on from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set

import numpy as np

from nmt_pbt.base.errors import HandoverError, UsageError
from nmt_pbt.run.jobs import TrainingJob
from nmt_pbt.tasks.answers import check_answer, fault_of
from nmt_pbt.tasks.protocol import MemberState, Trainable
from nmt_pbt.tasks.state import ITERATIONS, content_hash


def check_taken_over(job: TrainingJob, trainable: Trainable, held: MemberState, donor: MemberState | None) -> None:
    """Check that a live model holds the state that its job starts from.

    Args:
        job: What is to be trained; it has a start.
        trainable: The live model.
        held: Everything in the live model, before the job's values were applied.
        donor: The state that was loaded; None where the model was at it already.

    Raises:
        HandoverError: Its content hash is not that of the donor in the journal; names the first array that differs, or
            is missing.
    """
    assert job.start is not None
    if held is donor and getattr(trainable, "checks_load", False):
        return
    if donor is not None:
        # What a state of an older version does not hold, the load leaves as configured.
        held = MemberState({name: held.arrays[name] for name in donor.arrays if name in held.arrays}, held.age)
    if content_hash(held) != job.start.hash:
        raise HandoverError(
            f"trial {job.trial}: the live model does not hold the state it starts from ({_difference(held, donor)}); "
            f"{fault_of(trainable, 'state', 'load')}"
        )


def _difference(held: MemberState, donor: MemberState | None) -> str:
    if donor is None:
        return "it changed after it was saved"
    for name, array in donor.arrays.items():
        if name not in held.arrays:
            return f"{name} is missing"
        if not np.array_equal(held.arrays[name], array, equal_nan=array.dtype.kind == "f"):
            return f"{name} differs"
    return f"its age is {held.age}, not {donor.age}" if held.age != donor.age else "its arrays are of other types"


def check_in_force(job: TrainingJob, trainable: Trainable, structural: Set[str]) -> None:
    """Check that the values in force are the job's own, not those which came with a load.

    Args:
        job: What is to be trained.
        trainable: The live model.
        structural: Hyperparameters that were in force when it was built.

    Raises:
        HandoverError: One of them is not the job's.
        UsageError: The trainable does not tell one of them.
    """
    live = trainable.effective_values()
    check_answer(trainable, "effective_values", live, Mapping)
    for name, value in job.values.items():
        if name not in live:
            if name in structural or name == "epochs" or getattr(trainable, "checks_values", False):
                continue
            raise UsageError(
                f"{type(trainable).__name__}.effective_values: leaves out {name}; return that as well, read back from "
                "the live model, or name it in the task's structural"
            )
        held = live[name]
        numbers = isinstance(value, (int, float)) and isinstance(held, (int, float))
        same = math.isclose(float(value), float(held), rel_tol=1e-6, abs_tol=1e-9) if numbers else value == held
        if not same:
            raise HandoverError(
                f"trial {job.trial}: {name} is {held} in the live model after loading, not {value} as assigned; "
                f"{fault_of(trainable, 'load', 'set_hyperparameters')}"
            )


def check_continued(job: TrainingJob, trainable: Trainable, before: MemberState | None, after: MemberState) -> None:
    """Check that a job went on from where it started: by its pairs, and with the optimizer's own count.

    Args:
        job: What was trained.
        trainable: The live model.
        before: Everything in the live model when it started; None for fresh weights.
        after: The state it ended in.

    Raises:
        HandoverError: Age or iteration count began anew, or elsewhere.
    """
    start = before.age if before is not None else 0
    if after.age != start + job.pairs:
        raise HandoverError(
            f"trial {job.trial}: trained {job.pairs} pairs from age {start}, and its age is {after.age}; "
            f"{fault_of(trainable, 'load', 'train')}"
        )
    if before is not None and ITERATIONS in before.arrays:
        counts = int(before.arrays[ITERATIONS]), int(after.arrays[ITERATIONS])
        if not counts[0] < counts[1] <= counts[0] + job.pairs:
            raise HandoverError(
                f"trial {job.trial}: the optimizer counted {counts[0]} steps at its start and {counts[1]} at its end, "
                f"after {job.pairs} pairs; {fault_of(trainable, 'load')}"
            )
