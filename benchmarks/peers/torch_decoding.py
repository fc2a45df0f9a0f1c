"""Greedy and beam search over `TorchSeq2Seq`, on whole batches, sentences that are done leaving the batch."""

from __future__ import annotations

import torch
from protocol import BOS, EOS, PAD
from torch import Tensor
from torch_model import Memory, TorchSeq2Seq

NEVER = -1e9


def greedy(model: TorchSeq2Seq, source: Tensor) -> list[list[int]]:
    """Translate by taking the most probable subword at each step.

    Args:
        model: In evaluation mode.
        source: Ids `[B, S]`.

    Returns:
        The ids of each translation, up to EOS or the limit of `_limits`.
    """
    memory, state = model.encode(source)
    limits = _limits(source)
    rows = torch.arange(len(source))
    written = torch.full((len(source), int(limits.max())), PAD)
    tokens = torch.full((len(source),), BOS)
    for position in range(written.shape[1]):
        log_probabilities, state = model.step(tokens, state, memory)
        tokens = log_probabilities.argmax(1)
        written[rows, position] = tokens
        going = (tokens != EOS) & (position + 1 < limits)
        # Rows that are done cost as much as others: once there are some, go on without them.
        if not going.all():
            rows, tokens, limits = rows[going], tokens[going], limits[going]
            if not len(rows):
                break
            memory, state = _select(memory, going), (state[0][going], state[1][going])
    return written.tolist()


def beam_search(model: TorchSeq2Seq, source: Tensor, beam: int, length_penalty: float) -> list[list[int]]:
    """Translate by beam search.

    Hypotheses that end are set aside with `log p / ((5 + length) / 6) ** length_penalty` (Wu et al. 2016); a sentence
    is done when it has `beam` of them, or when no open one can still get better than the best of them.

    Args:
        model: In evaluation mode.
        source: Ids `[B, S]`.
        beam: Open hypotheses a sentence, K.
        length_penalty: Exponent of the length normalisation.

    Returns:
        The ids of each sentence's best translation, up to EOS or the limit of `_limits`.
    """
    memory, (h, c) = model.encode(source)
    state = (h.repeat_interleave(beam, 0), c.repeat_interleave(beam, 0))
    limits = _limits(source)
    longest = int(limits.max())
    sentences = torch.arange(len(source))
    best_score = torch.full((len(source),), NEVER)
    best = torch.full((len(source), longest), PAD)
    finished = torch.zeros(len(source), dtype=torch.long)
    prefix = torch.full((len(source), beam, longest), PAD)
    totals = torch.full((len(source), beam), NEVER)
    totals[:, 0] = 0.0
    tokens = torch.full((len(source), beam), BOS)
    for position in range(longest):
        log_probabilities, state = model.step(tokens.flatten(), state, memory)
        vocabulary = log_probabilities.shape[1]
        candidates = (totals.view(-1, 1) + log_probabilities).view(len(sentences), beam * vocabulary)
        # At most K of the best 2K end, so that K are left to go on.
        candidates, chosen = candidates.topk(2 * beam, dim=1)
        origin, token = chosen // vocabulary, chosen % vocabulary
        grown = prefix.gather(1, origin[:, :, None].expand(-1, -1, longest))
        grown[:, :, position] = token
        ends = token == EOS
        done = (ends | (position + 1 >= limits)[:, None])[:, :beam]
        score = torch.where(done, candidates[:, :beam] / _normalisation(position + 1, length_penalty), NEVER)
        score, which = score.max(1)
        better = score > best_score[sentences]
        best_score[sentences[better]] = score[better]
        best[sentences[better]] = grown[better, which[better]]
        finished[sentences] += done.sum(1)
        totals, kept = torch.where(ends, 2 * NEVER, candidates).topk(beam, dim=1)
        tokens = token.gather(1, kept)
        prefix = grown.gather(1, kept[:, :, None].expand(-1, -1, longest))
        parents = (origin.gather(1, kept) + torch.arange(len(sentences))[:, None] * beam).flatten()
        state = (state[0][parents], state[1][parents])
        attainable = totals[:, 0] / _normalisation(limits, length_penalty)
        going = (finished[sentences] < beam) & (attainable > best_score[sentences]) & (position + 1 < limits)
        if not going.all():
            sentences, limits, totals = sentences[going], limits[going], totals[going]
            if not len(sentences):
                break
            tokens, prefix, memory = tokens[going], prefix[going], _select(memory, going)
            rows = going.repeat_interleave(beam)
            state = (state[0][rows], state[1][rows])
    return best.tolist()


def _limits(source: Tensor) -> Tensor:
    """Return the most subwords of each translation, EOS included: twice the source's, and ten."""
    return 2 * (source != PAD).sum(1) + 10


def _normalisation(length: int | Tensor, exponent: float) -> float | Tensor:
    return ((5 + length) / 6) ** exponent


def _select(memory: Memory, going: Tensor) -> Memory:
    keys, states, bias = memory
    return keys[going], states[going], bias[going]
