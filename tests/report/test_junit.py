"""JUnit XML, parsed back."""

from xml.etree import ElementTree as ET

from offmap.catalog import measures
from offmap.report.gates import evaluate, parse
from offmap.report.junit import junit


def test_gates_are_failures_errors_errors_and_skipped_skipped(report):
    written = ["calibration_error > 0.05", "calibration_error > 0.5", "worst_group_error > 0.3"]
    gates = evaluate([parse(expression, measures()) for expression in written], report)
    root = ET.fromstring(junit(report, gates))
    assert root.tag == "testsuites"
    gate_suite, readings = root.findall("testsuite")

    assert gate_suite.attrib["tests"] == "3" and gate_suite.attrib["failures"] == "2"
    cases = {case.attrib["name"]: case for case in gate_suite}
    assert list(cases) == written
    assert cases["calibration_error > 0.05"].find("failure").attrib["message"] == gates[0].sentence
    assert cases["calibration_error > 0.5"].find("failure") is None
    assert "no groups" in cases["worst_group_error > 0.3"].find("failure").attrib["message"]

    assert len(readings) == len(report.entries) == int(readings.attrib["tests"])
    assert int(readings.attrib["errors"]) == len(report.failed) == 1
    assert int(readings.attrib["skipped"]) == len(report.skipped) == 4
    assert readings.attrib["failures"] == "0"
    by_name = {case.attrib["name"]: case for case in readings}
    error = by_name["noise_sensitivity@test"].find("error")
    assert error.attrib["message"].startswith("RuntimeError: </script>")
    assert error.text.startswith("Traceback") and "\x1b" not in error.text
    assert by_name["seed_spread"].find("skipped").attrib["message"] == "the run has no recipe"
    assert by_name["calibration_error@test"].find("system-out").text == "0.192 [0.171, 0.214]"
    assert by_name["calibration_error@test"].attrib["classname"] == "offmap.weak_generalization"
    assert float(by_name["calibration_error@test"].attrib["time"]) == 1.3


def test_without_gates(report):
    gate_suite, _ = ET.fromstring(junit(report)).findall("testsuite")
    assert gate_suite.attrib["tests"] == "0"
