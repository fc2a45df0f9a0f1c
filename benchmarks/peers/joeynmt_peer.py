"""JoeyNMT 2.3 (Kreutzer et al. 2019), as a competitor: its model, batch, loss, optimizer and search, fed with ids.

Its data loader and command line are left out, as they do not start with today's packages; that is in its favour.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from protocol import Calls, Stopwatch, Workload, serve, shuffled, until_end

JOEY_UNK, JOEY_PAD, BOS, EOS = 0, 1, 2, 3


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build the model; see `protocol.serve`."""
    import torch
    from joeynmt.batch import Batch as JoeyBatch
    from joeynmt.builders import build_gradient_clipper, build_optimizer
    from joeynmt.model import build_model
    from joeynmt.search import search

    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = workload.settings
    vocabulary = _vocabulary(settings["vocabulary"])
    model = build_model(_model_settings(settings["units"], settings["dropout"]), vocabulary, vocabulary)
    model.loss_function = ("crossentropy", 0.0)
    optimizer = build_optimizer({"optimizer": "adam", "learning_rate": settings["learning_rate"]}, model.parameters())
    clip = build_gradient_clipper({"clip_grad_val": None, "clip_grad_norm": settings["clip_norm"]})

    def batch_of(source: np.ndarray, target: np.ndarray | None) -> Any:
        return JoeyBatch(
            src=_to_joey(source),
            src_length=torch.from_numpy(np.count_nonzero(source, axis=1)),
            src_prompt_mask=None,
            trg=None if target is None else _to_joey(target),
            trg_prompt_mask=None,
            indices=torch.arange(len(source)),
            device=torch.device("cpu"),
            pad_index=JOEY_PAD,
            eos_index=EOS,
            is_train=target is not None,
        )

    def train(window: int) -> Mapping[str, Any]:
        batches = workload.window(window)
        if arguments.shuffled:
            batches = shuffled(batches)
        stopwatch = Stopwatch()
        likelihood = tokens = 0.0
        for source, target in batches:
            # The steps of its TrainManager, without gradient accumulation.
            batch = batch_of(source, target)
            model.train()
            batch.sort_by_src_length()
            loss, *_ = model(return_type="loss", **vars(batch))
            batch.normalize(loss, normalization="tokens").backward()
            clip(parameters=model.parameters())
            optimizer.step()
            optimizer.zero_grad()
            likelihood += loss.item()
            tokens += batch.ntokens
        return {**stopwatch.read(), "loss": likelihood / tokens}

    def load() -> Mapping[str, Any]:
        _take_over(model, workload.weights(), settings["units"])
        return {}

    def decode(beam: int, length_penalty: float) -> Mapping[str, Any]:
        sources = [source for source, _ in workload.dev()]
        model.eval()
        stopwatch = Stopwatch()
        found = []
        for source in sources:
            batch = batch_of(source, None)
            # It wants a batch sorted by falling length, and puts the results back in order afterwards.
            order = batch.sort_by_src_length()
            limit = 2 * int(batch.src_length.max()) + 10
            ids, _, _ = search(model, batch, limit, beam, length_penalty)
            found.extend(ids[order])
        seconds = stopwatch.read()
        return {**seconds, "ids": [until_end(_from_joey(row)) for row in found]}

    return {"train": train, "load": load, "decode": decode}


def _vocabulary(size: int) -> Any:
    """Return a vocabulary of `size` entries: its four special ones, and names for all others."""
    from joeynmt.vocabulary import Vocabulary

    special = SimpleNamespace(
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token=None,
        lang_tags=[],
        unk_id=JOEY_UNK,
        pad_id=JOEY_PAD,
        bos_id=BOS,
        eos_id=EOS,
    )
    return Vocabulary([f"subword{index}" for index in range(4, size)], special)


def _model_settings(units: int, dropout: float) -> dict[str, Any]:
    """Return the `model` section of a JoeyNMT configuration."""
    common = {
        "type": "recurrent",
        "rnn_type": "lstm",
        "embeddings": {"embedding_dim": units},
        "hidden_size": units,
        "dropout": dropout,
        "num_layers": 1,
        "activation": "tanh",
    }
    return {
        "initializer": "xavier_uniform",
        "tied_embeddings": True,
        "tied_softmax": True,
        "encoder": {**common, "bidirectional": True},
        "decoder": {
            **common,
            "hidden_dropout": dropout,
            "input_feeding": True,
            "init_hidden": "bridge",
            "attention": "luong",
        },
    }


def _to_joey(ids: np.ndarray) -> Any:
    """Return ids as JoeyNMT numbers them: unknown 0, pad 1."""
    import torch

    return torch.from_numpy(_from_joey(ids)).long()


def _from_joey(ids: np.ndarray) -> np.ndarray:
    return np.where(ids < 2, 1 - ids, ids)


def _take_over(model: Any, weights: Mapping[str, np.ndarray], units: int) -> None:
    """Copy the weights of `nmt_pbt`'s model where JoeyNMT's has the same; its input feeding starts from zero."""
    import torch

    def lstm(name: str, suffix: str) -> dict[str, np.ndarray]:
        def gates(kind: str) -> np.ndarray:
            # Ours are input, forget, output, candidate; PyTorch's are input, forget, candidate, output.
            i, f, o, g = np.split(weights[f"{name}_lstm_0/{kind}"].T, 4, axis=0)
            return np.concatenate([i, f, g, o])

        return {
            f"weight_ih_l0{suffix}": gates("kernel"),
            f"weight_hh_l0{suffix}": gates("recurrent"),
            f"bias_ih_l0{suffix}": gates("bias"),
            f"bias_hh_l0{suffix}": np.zeros(4 * units, np.float32),
        }

    decoder = lstm("decoder", "")
    decoder["weight_ih_l0"] = np.concatenate(
        [decoder["weight_ih_l0"], np.zeros((4 * units, units), np.float32)], axis=1
    )
    table = weights["target_embedding/table"]
    contexts, queries = np.split(weights["attentional"], [2 * units], axis=0)
    by_name = {
        "src_embed.lut.weight": table[[1, 0, *range(2, len(table))]],
        "decoder.att_vector_layer.weight": np.concatenate([queries, contexts], axis=0).T,
        "decoder.bridge_layer.weight": weights["bridge_h_0"].T,
        "decoder.attention.key_layer.weight": weights["attention/memory"].T,
    }
    for name, array in {**lstm("forward", ""), **lstm("backward", "_reverse")}.items():
        by_name[f"encoder.rnn.{name}"] = array
    for name, array in decoder.items():
        by_name[f"decoder.rnn.{name}"] = array
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in by_name.items():
            parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))


if __name__ == "__main__":
    serve(["torch", "joeynmt"], build, lambda parser: parser.add_argument("--shuffled", action="store_true"))
