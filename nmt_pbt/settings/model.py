"""Settings of the model."""

from __future__ import annotations

from typing import Literal

from nmt_pbt.settings.sections import Count, Section


class ModelSettings(Section):
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
