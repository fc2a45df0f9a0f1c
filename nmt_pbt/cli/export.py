"""`nmt-pbt export`: a run's model as a SavedModel that takes and returns text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_pbt.cli.options import Beam, Ensemble, Method, NoRepeatNgram, Runs, Seed
from nmt_pbt.cli.startup import start_tensorflow


def export_command(
    runs: Runs,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The SavedModel's folder; it must not exist.")],
    method: Method = None,
    seed: Seed = None,
    ensemble: Ensemble = 1,
    beam: Beam = None,
    no_repeat_ngram: NoRepeatNgram = None,
) -> None:
    """Write a TensorFlow SavedModel that translates text, for use without this program."""
    from nmt_pbt.base.files import check_new_folder
    from nmt_pbt.cli.models import models_of
    from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions

    chosen = models_of(runs, method, seed, ensemble)
    check_new_folder(folder)
    start_tensorflow()
    from nmt_pbt.tasks.translation.decoding.export import export

    export(chosen, folder, DecodingOptions.of(chosen[0].settings.evaluation, beam, no_repeat_ngram))
    typer.echo(str(folder))
