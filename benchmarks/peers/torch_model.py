"""The model in PyTorch, written by hand around `nn.LSTM`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from protocol import PAD
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, Tensor]
"""h and c of an LSTM, `[N, U]` each."""
Memory = tuple[Tensor, Tensor, Tensor]
"""Of each source: keys `[B, S, U]`, the encoder's states `[B, S, 2U]`, and what is added to scores `[B, 1, S]`."""


class TorchSeq2Seq(nn.Module):
    """Bidirectional LSTM encoder, LSTM decoder, general attention (Luong et al. 2015), all embeddings tied.

    Packed, it is layer for layer the model of `nmt_pbt.tasks.translation.model.seq2seq`, can take over its weights, and
    then makes the same translations.

    Args:
        vocabulary: Subwords V, of both languages.
        units: Width U of embeddings and states.
        dropout: Rate on embeddings, on the encoder's output and on the attentional vector.
        packed: Whether the encoder runs on packed sequences, as PyTorch's documentation teaches. Otherwise it runs on
            padded ones, the backward LSTM reading each sentence turned round within its own length, so that pads come
            last for it too. That is twice as fast on a CPU, as only padded sequences reach oneDNN's LSTM, but the last
            c of a shorter sentence is then not to be had: the decoder's first c is made from the last h instead.
    """

    def __init__(self, vocabulary: int, units: int, dropout: float, packed: bool) -> None:
        super().__init__()
        self.units = units
        self.packed = packed
        self.embedding = nn.Embedding(vocabulary, units)
        nn.init.normal_(self.embedding.weight, std=units**-0.5)
        self.forward_lstm = nn.LSTM(units, units)
        self.backward_lstm = nn.LSTM(units, units)
        self.decoder_lstm = nn.LSTM(units, units)
        self.bridge_h = nn.Linear(2 * units, units, bias=False)
        self.bridge_c = nn.Linear(2 * units, units, bias=False)
        self.keys = nn.Linear(2 * units, units, bias=False)
        self.attentional = nn.Linear(3 * units, units, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        self.dropout = nn.Dropout(dropout)

    def loss(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy of a batch over its real target positions, in nats.

        Args:
            source: Ids `[B, S]`, ending in EOS, pads after it.
            target: Ids `[B, T]`, from BOS to EOS.
        """
        memory, (h, c) = self.encode(source)
        inputs = self.dropout(self.embedding(target[:, :-1].t()))
        states, _ = self.decoder_lstm(inputs, (h[None], c[None]))
        vectors = _attend(states.transpose(0, 1), memory)
        wanted = target[:, 1:]
        real = wanted != PAD
        # Only real positions go through the softmax, the largest product of all.
        return functional.cross_entropy(self._logits(vectors[real]), wanted[real])

    def encode(self, source: Tensor) -> tuple[Memory, State]:
        """Read the source, ids `[B, S]`; return the memory and the decoder's first state."""
        mask = source != PAD
        lengths = mask.sum(1)
        # Steps first: `nn.LSTM` is fastest on `[S, B, U]`.
        inputs = self.dropout(self.embedding(source.t()))
        turn = _turned(lengths, source.shape[1])[:, :, None].expand(-1, -1, self.units)
        read = self._read_packed if self.packed else self._read_padded
        ahead, ahead_h, ahead_c = read(self.forward_lstm, inputs, lengths)
        back, back_h, back_c = read(self.backward_lstm, inputs.gather(0, turn), lengths)
        outputs = torch.cat([ahead, back.gather(0, turn)], dim=2)
        states = self.dropout(outputs).transpose(0, 1)
        h = torch.tanh(self.bridge_h(torch.cat([ahead_h, back_h], dim=1)))
        c = self.bridge_c(torch.cat([ahead_c, back_c], dim=1))
        bias = torch.zeros(source.shape).masked_fill_(~mask, -1e9)[:, None]
        return (self.keys(states), states, bias), (h, c)

    def _read_packed(self, lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, (h, c) = lstm(pack_padded_sequence(inputs, lengths, enforce_sorted=False))
        return pad_packed_sequence(outputs)[0], h[0], c[0]

    def _read_padded(self, lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, _ = lstm(inputs)
        h = outputs[lengths - 1, torch.arange(len(lengths))]
        return outputs, h, h

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Predict the next subword.

        Args:
            tokens: The subwords before, `[B * K]`, the K hypotheses of a sentence side by side.
            state: The decoder's, of as many rows.
            memory: Of the B sentences.

        Returns:
            Log-probabilities `[B * K, V]`, and the next state.
        """
        h, c = state
        outputs, (h, c) = self.decoder_lstm(self.embedding(tokens)[None], (h[None], c[None]))
        queries = outputs[0].view(memory[0].shape[0], -1, self.units)
        vectors = _attend(queries, memory).flatten(0, 1)
        return functional.log_softmax(self._logits(vectors), dim=1), (h[0], c[0])

    def _logits(self, vectors: Tensor) -> Tensor:
        attentional = self.dropout(torch.tanh(self.attentional(vectors)))
        return functional.linear(attentional, self.embedding.weight, self.output_bias)

    def take_over(self, weights: Mapping[str, np.ndarray]) -> None:
        """Copy the weights of `nmt_pbt`'s model, by their paths in it."""
        by_name = {"embedding.weight": weights["target_embedding/table"], "output_bias": weights["bias"]}
        for direction in ("forward", "backward", "decoder"):
            for kind, name in (("kernel", "weight_ih"), ("recurrent", "weight_hh"), ("bias", "bias_ih")):
                gates = weights[f"{direction}_lstm_0/{kind}"].T
                # Ours are input, forget, output, candidate; PyTorch's are input, forget, candidate, output.
                i, f, o, g = np.split(gates, 4, axis=0)
                by_name[f"{direction}_lstm.{name}_l0"] = np.concatenate([i, f, g, o])
            by_name[f"{direction}_lstm.bias_hh_l0"] = np.zeros(4 * self.units, np.float32)
        for name, path in (
            ("bridge_h", "bridge_h_0"),
            ("bridge_c", "bridge_c_0"),
            ("keys", "attention/memory"),
            ("attentional", "attentional"),
        ):
            by_name[f"{name}.weight"] = weights[path].T
        self.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in by_name.items()})


def _turned(lengths: Tensor, longest: int) -> Tensor:
    """Return, for each step and sentence, the step that is there when the sentence is turned round: `[S, B]`."""
    steps = torch.arange(longest)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def _attend(queries: Tensor, memory: Memory) -> Tensor:
    """Return contexts and queries side by side, `[B, T, 3U]`, from queries `[B, T, U]`."""
    keys, states, bias = memory
    weights = torch.softmax(torch.baddbmm(bias, queries, keys.transpose(1, 2)), dim=2)
    return torch.cat([torch.bmm(weights, states), queries], dim=2)
