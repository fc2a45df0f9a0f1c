"""Initial weights, drawn from named randomness: the same everywhere up to rounding, without building a model anew."""

from __future__ import annotations

import numpy as np

from nmt_pbt.base.randomness import generator


def initial_weights(path: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw one weight.

    Embeddings are normal with standard deviation 3 width^-1/2, so that a vector is about 3 long: on small corpora the
    attention forms several times sooner than from vectors of length 1, and sooner than from length 10. Recurrent
    kernels are orthogonal, gate by gate (Saxe et al. 2014); other matrices uniform (Glorot & Bengio 2010), gate by gate
    for an LSTM's kernel; biases are 0, but 1 for an LSTM's forget gate (Jozefowicz et al. 2015).

    Args:
        path: The weight's path in its model, for instance `encoder/forward_0/kernel`; it decides the kind and, with
            the seed, the draw.
        shape: Its shape.
        seed: The model's seed.

    Returns:
        A float32 array of that shape.
    """
    random = generator(seed, "initial weights", path)
    kind = path.rsplit("/", maxsplit=1)[-1]
    lstm = len(shape) > 0 and "lstm" in path
    if kind.endswith("gain"):
        return np.ones(shape, np.float32)
    if kind == "cell_bias":
        return np.zeros(shape, np.float32)
    if kind == "bias":
        bias = np.zeros(shape, np.float32)
        if lstm:
            units = shape[0] // 4
            bias[units : 2 * units] = 1.0
        return bias
    if kind == "table":
        return np.asarray(random.standard_normal(shape) * 3.0 * shape[1] ** -0.5, np.float32)
    if kind == "recurrent":
        units = shape[0]
        return np.concatenate([_orthogonal(random, units) for _ in range(shape[1] // units)], axis=1)
    fan_out = shape[1] // 4 if lstm else shape[1]
    limit = np.sqrt(6.0 / (shape[0] + fan_out))
    return random.uniform(-limit, limit, shape).astype(np.float32)


def _orthogonal(random: np.random.Generator, units: int) -> np.ndarray:
    q, r = np.linalg.qr(random.standard_normal((units, units)))
    # QR fixes signs as it likes; without this the matrices are not uniform over the orthogonal group (Mezzadri 2007)
    return (q * np.sign(np.diag(r))).astype(np.float32)
