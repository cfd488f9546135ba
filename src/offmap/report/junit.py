"""JUnit XML, for continuous integration: gates and readings as test cases."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from offmap.reading import Entry, Failed, Skipped
from offmap.report import words
from offmap.report.gates import GateResult
from offmap.report.report import Report

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report, gates: Sequence[GateResult] = ()) -> bytes:
    """The XML: failed gates are failures, failed measures errors, skipped ones skipped."""
    root = ET.Element("testsuites", name="offmap")
    suite = ET.SubElement(root, "testsuite", _said(name="gates", tests=str(len(gates))))
    for gate in gates:
        case = _case(suite, "offmap.gates", gate.expression, 0.0)
        if gate.passed:
            ET.SubElement(case, "system-out").text = _clean(gate.sentence)
        else:
            ET.SubElement(case, "failure", _said(message=gate.sentence, type="gate"))
    _count(suite, report.provenance.created)

    suite = ET.SubElement(root, "testsuite", _said(name=f"readings of {report.provenance.name}"))
    for entry in report.entries:
        name = words.address(entry.measure, entry.split)
        _outcome(_case(suite, f"offmap.{entry.question}", name, entry.seconds), entry)
    _count(suite, report.provenance.created)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _outcome(case: ET.Element, entry: Entry) -> None:
    match entry.outcome:
        case Skipped(reason):
            ET.SubElement(case, "skipped", _said(message=reason))
        case Failed(error, traceback):
            problem = ET.SubElement(case, "error", _said(message=error, type="measure"))
            problem.text = _clean(traceback)
        case reading:
            ET.SubElement(case, "system-out").text = f"{reading.estimate:.6g}"


def _case(suite: ET.Element, room: str, name: str, seconds: float) -> ET.Element:
    said = _said(classname=room, name=name, time=f"{seconds:.3f}")
    return ET.SubElement(suite, "testcase", said)


def _count(suite: ET.Element, created: str) -> None:
    suite.set("timestamp", _clean(created))
    suite.set("tests", str(len(suite)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))


def _said(**attributes: str) -> dict[str, str]:
    return {name: _clean(text) for name, text in attributes.items()}


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold, such as a terminal's escape codes."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
