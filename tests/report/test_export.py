"""Tables for other tools come back as they went."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report import statistics
from nmt_pbt.report.columns import SCHEMA_VERSION
from nmt_pbt.report.export import write_parquet
from nmt_pbt.report.run import load_run


def test_parquet_holds_every_table_with_its_types_and_its_version(one_path, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run = load_run(one_path)
    files = {path.stem: path for path in write_parquet(run, tmp_path / "tables")}
    assert {"trials", "evaluations", "lineage", "translations", "summary", "comparisons_bleu"} <= set(files)
    for name in ("trials", "evaluations", "lineage", "translations"):
        frame = getattr(run, name)
        back = pd.read_parquet(files[name])
        whole, read = (table.astype(object).where(table.notna(), None) for table in (frame, back))
        pd.testing.assert_frame_equal(read, whole)
        numbers = frame.select_dtypes("number").columns
        assert list(back[numbers].dtypes) == list(frame[numbers].dtypes)
    version = parquet.read_schema(files["trials"]).metadata[b"nmt_pbt_schema"]
    assert version == str(SCHEMA_VERSION).encode("ascii")
    pd.testing.assert_frame_equal(
        pd.read_parquet(files["summary"]), statistics.frame_of(statistics.summaries(run)), check_dtype=False
    )
    again = {path.stem: path.read_bytes() for path in write_parquet(run, tmp_path / "tables")}
    assert again == {name: path.read_bytes() for name, path in files.items()}


def test_without_pyarrow_one_line_says_how_to_get_it(one_path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'nmt-pbt\[parquet\]'"):
        write_parquet(load_run(one_path), tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_a_file_is_no_folder_for_tables(one_path, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file"):
        write_parquet(load_run(one_path), tmp_path / "file")


def test_a_table_that_is_not_of_an_export_is_not_overwritten(one_path, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "trials.parquet").write_text("mine")
    with pytest.raises(UsageError, match=r"trials\.parquet: exists and is no export"):
        write_parquet(load_run(one_path), tmp_path)
    assert (tmp_path / "trials.parquet").read_text() == "mine"
    (tmp_path / "trials.parquet").unlink()
    assert write_parquet(load_run(one_path), tmp_path) == write_parquet(load_run(one_path), tmp_path)
