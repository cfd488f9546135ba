"""report.json and the columns beside it: read as written, or a sentence says why not."""

import json
from dataclasses import replace

import jsonschema
import pyarrow.parquet as pq
import pytest
import torch

from offmap.attempt import InputError
from offmap.codec import encode
from offmap.estimate import exact, mean
from offmap.figures import Bars, Matrix
from offmap.reading import Reading
from offmap.report.json import load, save, schema


def columns(report):
    return {
        (e.measure, e.split): e.reading.per_example
        for e in report.entries
        if e.reading is not None and e.reading.per_example is not None
    }


def test_round_trip(report, tmp_path):
    save(report, tmp_path)
    for path in (tmp_path, tmp_path / "report.json"):
        again = load(path)
        assert encode(again) == encode(report)  # everything but the columns
        before, after = columns(report), columns(again)
        assert before.keys() == after.keys() and len(after) >= 3
        for key, column in before.items():
            assert after[key].dtype == torch.double
            assert torch.equal(after[key].nan_to_num(-1), column.double().nan_to_num(-1))
    assert again.provenance.domain["kind"] == "image"  # not taken for a record of that kind


def test_the_file_obeys_its_own_json_schema(report, tmp_path):
    content = json.loads(save(report, tmp_path).read_text())
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(content, schema())
    assert content["schema"] == 1
    assert "per_example" not in json.dumps(schema())
    assert "per_example" not in json.dumps(content["entries"])
    content["entries"][0]["seconds"] = "long"
    with pytest.raises(jsonschema.ValidationError, match="long"):
        jsonschema.validate(content, schema())


def test_columns_are_float64_parquet_by_split(report, tmp_path):
    save(report, tmp_path)
    table = pq.read_table(tmp_path / "examples" / "test.parquet")
    assert table.column_names[0] == "row"
    assert table["row"].to_pylist() == list(range(20_000))
    assert str(table.schema.field("calibration_error").type) == "double"
    assert table["calibration_error"].null_count == 0  # NaN is an answer that is not there
    assert table["calibration_error"].to_numpy()[7] != table["calibration_error"].to_numpy()[7]
    assert (
        table["lookup_agreement"].to_numpy().sum()
        == report.reading("lookup_agreement").per_example.sum()
    )


def test_measures_that_are_not_about_one_split_share_a_file(build, report, tmp_path):
    """Their columns may have different lengths, and NaN at the end is not the end of the column."""
    long, short = torch.rand(9), torch.tensor([0.5, float("nan")])
    entries = (
        build.entry("neural_collapse", "", Reading(mean(long), per_example=long)),
        build.entry("example_forgetting", "", Reading(exact(0.5), per_example=short)),
    )
    save(build.only(report, *entries), tmp_path)
    again = load(tmp_path)
    assert torch.equal(again.reading("neural_collapse").per_example, long.double())
    found = again.reading("example_forgetting").per_example
    assert len(found) == 2 and found[0] == 0.5 and found[1].isnan()


def test_keys_and_values_that_look_like_the_codec(build, report, tmp_path):
    bars = Bars("b", "y", {name: exact(1.0) for name in ("kind", "tensor", "number", "kind_")})
    empty = Matrix("m", "x", "y", ("a", "b"), (), torch.zeros(0, 2))
    wide = Reading(exact(1.0), parts={"tensor": exact(2.0)}, figures=(bars, empty))
    changed = build.only(report, build.entry("effective_rank", "test", wide))
    save(changed, tmp_path)
    again = load(tmp_path).reading("effective_rank")
    assert list(again.figures[0].values) == ["kind", "tensor", "number", "kind_"]
    assert again.parts["tensor"].value == 2.0
    assert again.figures[1].values.shape == (0, 2)


def test_a_split_may_be_called_anything(build, report, tmp_path):
    name = "../../x\udc80/"  # a path, and a byte that was not UTF-8
    rows = torch.rand(5)
    reading = Reading(mean(rows), per_example=rows)
    save(build.only(report, build.entry("calibration_error", name, reading)), tmp_path / "a" / "b")
    assert not list(tmp_path.glob("*.parquet")) and not list(tmp_path.glob("a/*.parquet"))
    again = load(tmp_path / "a" / "b")
    assert torch.equal(again.reading("calibration_error", name).per_example, rows.double())


def test_a_report_without_its_examples_is_read_without_columns(report, tmp_path):
    (tmp_path / "alone").mkdir()
    save(report, tmp_path).rename(tmp_path / "alone" / "report.json")
    again = load(tmp_path / "alone")
    assert columns(again) == {}
    assert again.reading("calibration_error").value == report.reading("calibration_error").value


def test_columns_of_another_report_are_refused(build, report, tmp_path):
    save(report, tmp_path)
    kept = (tmp_path / "report.json").read_text()
    other = torch.rand(20_000, dtype=torch.double)
    save(build.with_outcome(report, "lookup_agreement", "test", per_example=other), tmp_path)
    (tmp_path / "report.json").write_text(kept)
    with pytest.raises(InputError, match=r"test\.parquet: expected the columns that belong to"):
        load(tmp_path)
    (tmp_path / "examples" / "test.parquet").unlink()
    with pytest.raises(InputError, match="got no file"):
        load(tmp_path)


def test_writing_is_all_or_nothing(report, tmp_path, monkeypatch):
    save(report, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save(replace(report, provenance=replace(report.provenance, seed=1)), tmp_path)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut off or is not JSON"),
        (lambda _: "", "cut off or is not JSON"),
        (lambda _: "[1, 2]", "got JSON of something else"),
        (lambda _: '{"schema": 1, "model": "x"}', "got JSON of something else"),
        (lambda text: text.replace('"schema":1', '"schema":2'), "schema 2.*newer offmap: update"),
        (lambda text: text.replace('"schema":1', '"schema":0'), "schema 0.*older offmap: audit"),
        (lambda text: text.replace('"seed":0', '"seed":"zero"'), "integer.*provenance.seed"),
        (lambda text: text.replace('"tensor":"float64"', '"tensor":"load"'), "float64"),
        (lambda text: text.replace('"low":0.171', '"low":0.3'), "expected 0.3 <= 0.192"),
    ],
)  # fmt: skip
def test_what_is_not_a_report_gets_a_sentence(report, tmp_path, change, message):
    path = save(report, tmp_path)
    text = path.read_text()
    changed = change(text)
    assert changed != text
    path.write_text(changed)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"expected a report\.json, or a folder with one"):
        load(tmp_path)


def test_fields_of_a_later_version_of_the_same_schema_are_passed_over(report, tmp_path):
    path = save(report, tmp_path)
    content = json.loads(path.read_text())
    content["provenance"]["moon"] = "full"
    content["entries"][0]["moon"] = "full"
    del content["provenance"]["reused"]  # one that an earlier version did not write
    path.write_text(json.dumps(content))
    assert load(path).provenance.reused == 0
