"""What is seen of `fit`: the order of the data is seeded once an interval, whoever draws before."""

from __future__ import annotations

import random

import keras

from nmt_pbt.tasks.keras.watch import Watch


def test_the_seed_is_set_after_all_other_draws_and_not_again_for_each_epoch_of_a_fit_of_ones_own() -> None:
    drawn = []
    for draws_before in (0, 1):
        watch = Watch(begin=2, end=4, order=7)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.stop_training = False  # as Keras's `fit` begins
        watch.set_model(model)
        random.sample(range(9), draws_before)
        orders = []
        for epoch in (2, 3):  # a `fit` of Keras for each epoch
            watch.on_train_begin()
            orders.append(random.sample(range(50), 50))
            watch.on_epoch_end(epoch)
        watch.check()
        drawn.append(orders)
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
