"""Settings of training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt_pbt.settings.sections import Count, Positive, Rate, Section


class TrainingSettings(Section):
    """Values in force where the search space names nothing else."""

    epochs: Positive = 24.0
    """Passes over the training pairs: by each member of a population, and by each trial of the other methods"""
    learning_rate: Positive = 4e-3
    """Adam's step size"""
    batch_size: Count = 16
    """Sentence pairs in one step"""
    dropout: Rate = 0.2
    """Rate on embeddings, between layers and on the attention vector"""
    recurrent_dropout: Rate = 0.1
    """Rate on the LSTMs' recurrent state, one mask a sequence (Gal & Ghahramani 2016)"""
    label_smoothing: Rate = 0.0
    """Probability mass spread over the whole vocabulary in the training loss; never in the reported loss"""
    clip_norm: Positive = 1.0
    """Largest global norm of the gradient"""
    word_dropout: Rate = 0.0
    """Rate on whole subwords: all of a position's embedding is dropped, in the source and the target's prefix"""
    subword_sampling: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the training text's words that are cut into subwords by a draw, anew each epoch (Kudo 2018); a sentence
    that would then be longer than `corpus.max_length` stays as it is"""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Share of each matrix taken off in a step, times the learning rate; apart from the gradient (Loshchilov & Hutter
    2019)"""
    average_decay: Rate = 0.99
    """Share of the moving average that a step keeps: for averaging `exponential`"""
    learning_rate_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What the learning rate is multiplied with each epoch, in steps at the evaluations; 1 leaves it"""
    plateau_factor: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What the learning rate is multiplied with when val_loss has stopped falling; 1 leaves it"""
    plateau_patience: Count = 1
    """Evaluations in a row without a lower val_loss before the learning rate is cut"""
    averaging: Literal["none", "exponential", "checkpoints"] = "none"
    """Weights that are evaluated and translate. `none`: those trained. `exponential`: their moving average.
    `checkpoints`: the mean of those at the last evaluations"""
    averaged_checkpoints: Annotated[int, Field(ge=2, le=20)] = 5
    """Evaluations whose weights are averaged: for `checkpoints`"""
    early_stopping: Count | None = None
    """Evaluations in a row without a better objective before `train` stops; null never. `compare` refuses it: its
    methods all train equally long"""
