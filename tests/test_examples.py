"""The example run files, on a small part of the real data sets."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offmap.cli import main
from offmap.report.report import Report

EXAMPLES = Path(__file__).parents[1] / "examples"
FEW = 300  # examples of each split


def _audited(example: str, data: Path, tmp_path: Path) -> Report:
    out = tmp_path / "out"
    arguments = [
        "audit", str(EXAMPLES / example), "-P", f"data={data}", "-P", "epochs=1",
        "-P", f"weights={tmp_path / 'weights.safetensors'}", "--max-cost", "forward",
        "--out", str(out), "--quiet",
    ]  # fmt: skip
    assert main(arguments) == 0
    assert (tmp_path / "weights.safetensors").exists()
    return Report.load(out)


@pytest.mark.data
def test_mnist(data_folder: Path, tmp_path: Path) -> None:
    for name in ("mnist.npz", "fashion_mnist.npz"):
        with np.load(data_folder / name) as arrays:
            np.savez(tmp_path / name, **{key: arrays[key][:FEW] for key in arrays.files})
    report = _audited("mnist.py", tmp_path, tmp_path)
    assert set(report.provenance.splits) == {"train", "test", "fashion", "rotated"}
    assert report.reading("calibration_error", "rotated") is not None
    # clothes have no right digit, but they have a place: far from every digit
    distance = report.reading("train_neighbor_distance", "fashion")
    assert distance is not None
    assert distance.value > 0.5
    entry = report.entry("calibration_error", "fashion")
    assert entry is not None
    assert entry.reading is None


@pytest.mark.data
def test_cifar10(data_folder: Path, tmp_path: Path) -> None:
    for name in ("train", "test"):
        file = f"cifar10-{name}.parquet"
        batch = next(pq.ParquetFile(data_folder / file).iter_batches(batch_size=FEW))
        sink = BytesIO()
        pq.write_table(pa.Table.from_batches([batch]), sink)
        (tmp_path / file).write_bytes(sink.getvalue())
    report = _audited("cifar10.py", tmp_path, tmp_path)
    assert report.provenance.domain["shape"] == (3, 32, 32)
    assert report.provenance.domain["inferred"]
    assert report.reading("generalization_gap", "gray") is not None
