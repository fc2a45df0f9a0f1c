"""nmt-pbt's training under TensorFlow's profiler."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ours_peer
from protocol import Calls, Workload, serve


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Build the trainable; see `protocol.serve`."""
    import tensorflow as tf

    train = ours_peer.build(workload, arguments)["train"]

    def profile(window: int) -> Mapping[str, Any]:
        """Train on a window; return what `train` does, and the operations: `[name, type, times, seconds]` each."""
        with tempfile.TemporaryDirectory() as folder:
            tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3))
            try:
                trained = train(window)
            finally:
                tf.profiler.experimental.stop()
            return {**trained, "operations": _operations(Path(folder))}

    return {"train": train, "profile": profile}


def _operations(folder: Path) -> list[list[Any]]:
    # What TensorBoard's profile plugin reads, too.
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    times, picoseconds = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for file in folder.rglob("*.xplane.pb"):
        space = XSpace()
        space.ParseFromString(file.read_bytes())
        for plane in space.planes:
            names = {key: metadata.name for key, metadata in plane.event_metadata.items()}
            for line in plane.lines:
                if not line.name.startswith("tf_Compute"):
                    continue
                for event in line.events:
                    name, colon, kind = names[event.metadata_id].rpartition(":")
                    # the executor's own events are named like C++ functions
                    if colon and not name.endswith(":"):
                        times[name, kind] += 1
                        picoseconds[name, kind] += event.duration_ps
    return [[*key, times[key], picoseconds[key] / 1e12] for key in times]


if __name__ == "__main__":
    serve(["tensorflow", "keras"], build, ours_peer.add_options)
