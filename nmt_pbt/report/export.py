"""A run's tables for other tools: CSV text, Parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import replace_file
from nmt_pbt.report.columns import SCHEMA_VERSION
from nmt_pbt.report.run import Run
from nmt_pbt.report.statistics import Results, frame_of, results_of

_FRAMES = ("searches", "trials", "evaluations", "best_so_far", "lineage", "winners", "tests", "time_spent", "diagnoses")


def frames(run: Run) -> dict[str, pd.DataFrame]:
    """Return the tables of a run that are made of its journal alone, by name; of test sets where it has several."""
    found = {name: getattr(run, name) for name in _FRAMES}
    return found if run.test_sets.empty else {**found, "test_sets": run.test_sets}


def result_frames(results: Results) -> dict[str, pd.DataFrame]:
    """Return what was concluded as tables, by name: a row a method, and by test metric a row a pair of methods."""
    compared = {f"comparisons_{metric}": frame_of(pairs) for metric, pairs in results.comparisons.items()}
    return {"summary": frame_of(results.summaries), **compared}


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV with a header; what is missing is empty."""
    return frame.to_csv(index=False, lineterminator="\n")


def write_parquet(run: Run, folder: Path) -> list[Path]:
    """Write every table of a run as a Parquet file, translations and statistics among them.

    Args:
        run: The run.
        folder: Where; made if it is missing. A file of an earlier export is replaced, others are left alone.

    Returns:
        The files, each with the version of its columns in the metadata (`nmt_pbt_schema`).

    Raises:
        UsageError: The package pyarrow is not installed, or the folder is a file.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "Parquet needs the package pyarrow: pip install 'nmt-pbt[parquet]', or take the CSV files of the report"
        ) from None
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder to write Parquet files to")
    tables = {**frames(run), "translations": run.translations, **result_frames(results_of(run))}
    made: dict[Path, bytes] = {}
    for name, frame in tables.items():
        content = pyarrow.Table.from_pandas(frame, preserve_index=False)
        version = {b"nmt_pbt_schema": str(SCHEMA_VERSION).encode("ascii")}
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(content.replace_schema_metadata({**content.schema.metadata, **version}), sink)
        made[folder / f"{name}.parquet"] = sink.getvalue().to_pybytes()
    for path in made:
        if path.exists() and not _is_export(path):
            raise UsageError(f"{path}: exists and is no export of a run; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, data in made.items():
        replace_file(path, data)
    return list(made)


def _is_export(path: Path) -> bool:
    """Return whether a file is a table of a run, by its metadata."""
    import pyarrow
    import pyarrow.parquet

    try:
        return b"nmt_pbt_schema" in (pyarrow.parquet.read_schema(path).metadata or {})
    except (OSError, pyarrow.ArrowException):
        return False
