"""What a check found, written as JUnit XML and as Markdown for the page of a CI run."""

import html
from pathlib import Path
from xml.etree import ElementTree

from otbench.files import write_atomically
from otbench.report.check.violation import Violation, printable

#: What a check found: experiment → rule → violations.
Verdict = dict[str, dict[str, list[Violation]]]


def violations(verdict: Verdict) -> list[Violation]:
    """All violations, one experiment and rule after another."""
    return [v for rules in verdict.values() for found in rules.values() for v in found]


def write_junit(verdict: Verdict, unreadable: dict[str, str], file: Path) -> None:
    """Write a JUnit XML file with one suite per experiment, one case per rule, and a failure where it is broken.

    A folder or a text that cannot be read is an error, with the reason in ``unreadable``.
    """
    root = ElementTree.Element("testsuites", name="otbench check")
    for experiment, rules in verdict.items():
        failed = sum(bool(found) for found in rules.values())
        suite = ElementTree.SubElement(
            root, "testsuite", name=experiment, tests=str(len(rules)), failures=str(failed)
        )
        for rule, found in rules.items():
            case = ElementTree.SubElement(suite, "testcase", classname=f"otbench.{experiment}", name=rule)
            if found:
                failure = ElementTree.SubElement(case, "failure", message=f"{len(found)} violations")
                failure.text = "\n".join(map(str, found))
    for name, reason in unreadable.items():
        suite = ElementTree.SubElement(root, "testsuite", name=name, tests="1", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname=f"otbench.{name}", name="can be read")
        ElementTree.SubElement(case, "error", message=printable(reason))
    ElementTree.indent(root)
    write_atomically(file, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def summary(verdict: Verdict, unreadable: dict[str, str]) -> str:
    """A summary as Markdown, with the first 50 violations."""
    lines = ["## otbench check", "", "| results | rules | violations |", "|---|---|---|"]
    for experiment, rules in verdict.items():
        count = sum(map(len, rules.values()))
        lines.append(f"| {html.escape(experiment)} | {len(rules)} | {count or 'agreed'} |")
    lines += [f"| {html.escape(name)} | - | cannot be read |" for name in unreadable]
    lines += ["", *(f"- {html.escape(printable(reason))}" for reason in unreadable.values())]
    lines += ["", *(f"- {html.escape(str(v))}" for v in violations(verdict)[:50]), ""]
    return "\n".join(lines)
