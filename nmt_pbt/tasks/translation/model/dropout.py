"""Dropout whose rates and random state are variables, so that both can change under a compiled model."""

from __future__ import annotations

import keras
import tensorflow as tf


class MaskGenerator(keras.layers.Layer):
    """The random state of all dropout masks of one model: a key, and a counter of the batches seen.

    A mask is a pure function of (key, counter, stream, shape): it is the same for any number of threads, and a model
    whose key and counter are restored draws the masks that it would have drawn.

    Attributes:
        key: What tells this model's masks from another's; int64 scalar.
        counter: Batches that masks were drawn for; int64 scalar.
    """

    def __init__(self, name: str = "generator") -> None:
        super().__init__(name=name)
        self.key = self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name="key")
        self.counter = self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name="counter")
        self.streams = 0
        self.built = True

    def new_stream(self) -> int:
        """Return a number that tells one layer's masks from all others' in the model."""
        self.streams += 1
        return self.streams - 1

    def seed(self, stream: int) -> tf.Tensor:
        """Return the seed of one layer's mask for the present batch, int64 `[2]`."""
        return tf.stack([self.key.value + stream, self.counter.value])

    def advance(self) -> None:
        """Go on to the next batch: its masks will be others. Called once a training step."""
        self.counter.assign_add(1)

    def restart(self, key: int) -> None:
        """Begin a new sequence of masks.

        Args:
            key: A non-negative integer below 2**62.
        """
        self.key.assign(key)
        self.counter.assign(0)


class Dropout(keras.layers.Layer):
    """Inverted dropout: `y = x * mask`, `mask = (u >= rate) / (1 - rate)`, u uniform in [0, 1).

    Rate 0 is the exact identity. The rate can be assigned at any time without a retrace.

    Args:
        generator: Where the random state is.
        rate: The rate at first, in [0, 1).
        shared: Axes along which one mask is shared: 0, of a time-major sequence, for variational dropout (Gal &
            Ghahramani 2016); the last, for dropping whole vectors.

    Call arguments:
        inputs: Any float tensor.
        training: Whether to drop; a Python bool. False is the identity.
    """

    def __init__(
        self, generator: MaskGenerator, rate: float = 0.0, shared: tuple[int, ...] = (), name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.shared = shared
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"Expected a rate in [0, 1). Received: rate={rate}")
        self._generator = generator
        self._stream = generator.new_stream()
        initial = keras.initializers.Constant(rate)
        self.rate = self.add_weight(shape=(), dtype="float32", initializer=initial, trainable=False, name="rate")
        self.built = True

    def mask(self, shape: tf.Tensor) -> tf.Tensor:
        """Return the mask of the present batch: 0 where dropped, else 1 / (1 - rate).

        u has 16 bits: random bits are what a mask costs, and four are cut from each 64 drawn.
        """
        size = tf.reduce_prod(shape)
        seed = self._generator.seed(self._stream)
        bits = tf.random.stateless_uniform([(size + 3) // 4], seed, minval=None, maxval=None, dtype=tf.int64)
        uniform = tf.reshape(tf.reshape(tf.bitcast(bits, tf.int16), [-1])[:size], shape)
        rate = self.rate.value
        dropped = tf.minimum(tf.round(rate * 65536.0), 65535.0)
        keep = uniform >= tf.cast(dropped - 32768.0, tf.int16)
        return tf.cast(keep, tf.float32) * (1.0 / (1.0 - rate))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the inputs with a share of their elements dropped, same shape."""
        if not training:
            return inputs
        shape = tf.shape(inputs)
        if self.shared:
            sizes = tf.unstack(shape, num=inputs.shape.rank)
            for axis in self.shared:
                sizes[axis] = 1
            shape = tf.stack(sizes)
        return inputs * self.mask(shape)
