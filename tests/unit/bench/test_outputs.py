"""What the end of a run needs is looked at when it begins."""

import signal
import sys

import pytest

import bench.__main__
import bench.report
from bench.errors import BenchError
from bench.options import PAIRS, QUICK_PAIRS, parse_options
from bench.outputs import prepare_output


def test_directories_of_an_output_are_made_and_no_file_yet(tmp_path):
    prepare_output("--json", tmp_path / "build" / "new" / "x.json")

    assert list((tmp_path / "build" / "new").iterdir()) == []


def test_an_output_that_is_there_keeps_its_content(tmp_path):
    (tmp_path / "x.json").write_text("before")

    prepare_output("--json", tmp_path / "x.json")

    assert (tmp_path / "x.json").read_text() == "before"


@pytest.mark.parametrize("name", [".", "file/x.json", "file/deeper/x.json"])
def test_an_output_that_cannot_be_written_is_told(tmp_path, name):
    (tmp_path / "file").write_text("")

    with pytest.raises(BenchError, match=r"^--json .* cannot be written: "):
        prepare_output("--json", tmp_path / name)


@pytest.fixture
def run(monkeypatch):
    """The program up to the point where it would measure; returns how it ended."""

    def measure(*_: object) -> list[str]:
        pytest.fail("it measures although it cannot write down what it finds")

    monkeypatch.setattr(bench.__main__, "_run", measure)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["bench", "--only", "resolve", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            bench.__main__.main()
        return str(ended.value)

    yield run
    signal.signal(signal.SIGTERM, before)


def test_a_run_whose_end_cannot_be_written_does_not_begin(tmp_path, run):
    (tmp_path / "file").write_text("")

    assert "--json" in run("--json", tmp_path / "file" / "x.json")


@pytest.mark.parametrize("text", [None, "", "[]", '{"rows": []}'])
def test_a_run_beside_what_is_not_there_does_not_begin(tmp_path, run, text):
    if text is not None:
        (tmp_path / "before.json").write_text(text)

    assert run("--beside", tmp_path / "before.json").startswith("error: --beside ")


@pytest.mark.parametrize("page", [None, "No marks.\n"])
def test_a_run_for_documents_that_have_no_place_for_it_does_not_begin(
    tmp_path, run, monkeypatch, page
):
    monkeypatch.setattr(bench.report, "DOCS", tmp_path)
    if page is not None:
        (tmp_path / "performance.md").write_text(page)

    assert run("--write-docs") == "error: --write-docs: performance.md has no place for the table"
    assert [one.name for one in tmp_path.iterdir()] == ([] if page is None else ["performance.md"])


def test_the_documents_of_the_project_have_a_place_for_the_table():
    bench.report.prepare_docs()


def test_one_signal_ends_a_run_and_a_second_one_does_not_disturb_its_end(run):
    with pytest.raises(SystemExit, match="143"):
        bench.__main__._leave()

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_pairs_are_nine_and_a_quick_run_has_fewer():
    assert parse_options(["--against", "main"]).pairs == PAIRS == 9
    assert parse_options(["--against", "main", "--quick"]).pairs == QUICK_PAIRS
    assert parse_options(["--against", "main", "--quick", "--pairs", "5"]).pairs == 5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--pairs", "9"], "--pairs needs --against"),
        (["--fail-slower"], "--fail-slower needs --against"),
        (["--against", "main", "--write-docs"], "--write-docs does not go with --against"),
        (["--against", "main", "--beside", "x"], "--beside does not go with --against"),
        (["--against", "main", "--pairs", "2"], "quartiles need 3 or more"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_options(arguments)

    assert reason in capsys.readouterr().err
