"""No translation is cut short that is no longer than those of the training pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.tasks.translation.decoding.batches import source_batch
from nmt_pbt.tasks.translation.decoding.decoder import output_limits
from nmt_pbt.tasks.translation.decoding.output_limit import OutputLimit

LENGTHS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=30)


def _sentences(lengths):
    return [np.full(length, 4, np.int32) for length in lengths]


@given(LENGTHS)
def test_every_training_pair_can_be_written(lengths):
    sources, targets = (_sentences(side) for side in zip(*lengths, strict=True))
    limits = output_limits(source_batch(sources), OutputLimit.learned(sources, targets)).numpy()
    for limit, source, target in zip(limits, sources, targets, strict=True):
        assert limit >= max(len(target) + 1, 2 * (len(source) + 1) + 10)


def test_a_run_keeps_its_limit_and_one_without_has_that_of_old_runs(tmp_path):
    source = source_batch(_sentences([3, 7]))
    assert output_limits(source, OutputLimit.read(tmp_path)).numpy().tolist() == [18, 26]
    learned = OutputLimit.learned(_sentences([1, 1]), _sentences([40, 20]))
    learned.write(tmp_path)
    assert OutputLimit.read(tmp_path) == learned
    assert learned.longest_source == 1
    assert output_limits(source, learned).numpy().tolist() == [73, 135]


def test_a_limit_from_before_the_longest_source_was_kept_is_read(tmp_path):
    (tmp_path / "output_limit.json").write_text('{"ratio": 1.5, "offset": 12}\n')
    assert OutputLimit.read(tmp_path) == OutputLimit(1.5, 12, None)
