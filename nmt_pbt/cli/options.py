"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run's folder.")]
Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="A run's folder; models of several translate together, as --ensemble says."),
]
Method = Annotated[
    str | None, typer.Option("--method", help="The method whose winner to use; without it, the best on dev.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="The seed of the search whose winner to use; without it, the best on dev.")
]
Beam = Annotated[
    int | None, typer.Option("--beam", min=1, max=1000, help="Beam width, 1 is greedy; without it, the run's.")
]
NoRepeatNgram = Annotated[
    int | None,
    typer.Option(
        "--no-repeat-ngram",
        min=0,
        max=100,
        metavar="N",
        help="Never repeat an n-gram of N subwords in a translation; 0 allows it; without this option, as in the run.",
    ),
]
Ensemble = Annotated[
    int,
    typer.Option(
        "--ensemble", min=1, help="How many kept models of each run translate together, the best on dev first."
    ),
]
SplitSentences = Annotated[
    bool,
    typer.Option(
        "--split-sentences",
        help="Split each line into sentences, translate them one by one, and join the translations.",
    ),
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings in YAML; without it, the defaults.")]
CorpusName = Annotated[str | None, typer.Option("--corpus", help="A corpus of `nmt-pbt data list`, or a folder.")]
MovedCorpus = Annotated[str | None, typer.Option("--corpus", help="Where the run's corpus is now, if it has moved.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder; without it, results/NAME.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, for instance training.dropout=0.3; repeatable."),
]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        help="Start from the weights of this run's best winner, with its settings where --config gives no others."
    ),
]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Resume under another version of the program or its libraries.")
]
Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Follow each model on mlflow or wandb; repeatable."),
]
