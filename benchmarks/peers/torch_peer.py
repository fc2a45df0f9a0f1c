"""PyTorch by hand, as a competitor: trains on given batches and decodes the dev split."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from protocol import Calls, Stopwatch, Workload, serve, until_end


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build the model; see `protocol.serve`."""
    import torch
    from torch_decoding import beam_search, greedy
    from torch_model import TorchSeq2Seq

    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = workload.settings
    model = TorchSeq2Seq(settings["vocabulary"], settings["units"], settings["dropout"], arguments.packed)
    # Fused: one pass over each weight; as fast as `foreach` or faster here.
    optimizer = torch.optim.Adam(model.parameters(), settings["learning_rate"], fused=True)

    def train(window: int) -> Mapping[str, Any]:
        batches = [
            (torch.from_numpy(source).long(), torch.from_numpy(target).long())
            for source, target in workload.window(window)
        ]
        model.train()
        stopwatch = Stopwatch()
        losses = []
        for source, target in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(source, target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"], foreach=True)
            optimizer.step()
            losses.append(loss.detach())
        return {**stopwatch.read(), "loss": torch.stack(losses).mean().item()}

    def load() -> Mapping[str, Any]:
        model.take_over(workload.weights())
        return {}

    def decode(beam: int, length_penalty: float) -> Mapping[str, Any]:
        sources = [torch.from_numpy(source).long() for source, _ in workload.dev()]
        model.eval()
        stopwatch = Stopwatch()
        with torch.inference_mode():
            found = [
                greedy(model, source) if beam == 1 else beam_search(model, source, beam, length_penalty)
                for source in sources
            ]
        seconds = stopwatch.read()
        return {**seconds, "ids": [until_end(row) for batch in found for row in batch]}

    return {"train": train, "load": load, "decode": decode}


if __name__ == "__main__":
    serve(["torch"], build, lambda parser: parser.add_argument("--packed", action="store_true"))
