"""A verdict as JUnit XML and as Markdown has the right counts where no two of them are alike."""

from pathlib import Path
from xml.etree import ElementTree

from otbench.report.check.junit import summary, violations, write_junit
from otbench.report.check.violation import Violation


def broken(rule: str, count: int) -> list[Violation]:
    return [Violation(rule, f"cell {k}", f"{k}.5", "<= 0", "raw") for k in range(count)]


VERDICT = {
    "one": {"a": broken("a", 3), "b": [], "c": broken("c", 1), "d": [], "e": []},
    "two": {"a": [], "b": []},
}
UNREADABLE = {"three": "no rows <here>"}


def test_every_suite_counts_its_cases_failures_and_errors(tmp_path: Path) -> None:
    write_junit(VERDICT, UNREADABLE, tmp_path / "junit.xml")
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot().findall("testsuite")
    counts = [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors"), len(s)) for s in suites]
    assert counts == [("one", "5", "2", None, 5), ("two", "2", "0", None, 2), ("three", "1", None, "1", 1)]
    failures = {case.get("name"): case.find("failure") for case in suites[0]}
    assert {name for name, failure in failures.items() if failure is not None} == {"a", "c"}
    assert failures["a"] is not None
    assert failures["a"].get("message") == "3 violations"
    assert failures["a"].text == "\n".join(map(str, VERDICT["one"]["a"]))
    error = suites[2].find("testcase/error")
    assert error is not None
    assert error.get("message") == "no rows <here>"


def test_the_summary_has_a_line_a_folder_and_the_first_fifty_violations() -> None:
    text = summary(VERDICT, UNREADABLE)
    for line in ("| one | 5 | 4 |", "| two | 2 | agreed |", "| three | - | cannot be read |", "- no rows &lt;here&gt;"):
        assert line in text.splitlines()
    assert len(violations(VERDICT)) == 4
    for count, shown in ((50, 50), (51, 50)):
        told = summary({"one": {"a": broken("a", count)}}, {})
        assert sum(line.startswith("- ") for line in told.splitlines()) == shown
