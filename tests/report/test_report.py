"""The report's own methods: saved, loaded, shown."""

import re
import sys
from html import unescape
from pathlib import Path
from types import SimpleNamespace

from offmap.codec import encode
from offmap.report.html import html
from offmap.report.report import Report


def test_saved_and_loaded(report, tmp_path):
    folder = report.save(str(tmp_path / "out"))
    assert folder == tmp_path / "out"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"report.json", "report.html", "examples/test.parquet", "examples/fog.parquet"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert (folder / "report.html").read_text() == html(report)
    for path in (folder, str(folder / "report.json")):
        assert encode(Report.load(path)) == encode(report)


def test_in_a_notebook_the_page_is_in_a_frame(report):
    frame = report._repr_html_()
    found = re.fullmatch(r'<iframe title="([^"]*)" srcdoc="([^"]*)"([^>]*)></iframe>', frame)
    assert found and unescape(found[2]) == html(report)
    assert "digits-cnn" in found[1] and 'sandbox="allow-scripts"' in found[3]


def test_shown_in_a_terminal_and_in_a_notebook(report, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    report.show()
    assert "Does it hold near its data?" in capsys.readouterr().out
    displayed = []
    kernel = SimpleNamespace(kernel=object())
    notebook = SimpleNamespace(
        get_ipython=lambda: kernel, display=SimpleNamespace(display=displayed.append)
    )
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    report.show()
    assert displayed == [report] and capsys.readouterr().out == ""


def test_importing_the_report_does_not_import_what_draws_it():
    """Altair takes a second: a report that is only read must not pay for it."""
    import subprocess

    code = (
        "import sys; from offmap.report import ("
        "report, json, compare, gates, junit, terminal, thumbnails, grades); "
        "print([m for m in ('altair', 'vl_convert', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
    assert Path(sys.executable).exists()
