"""What one part writes, every part reads: every text that a person, a file or a machine may choose, in every file."""

import ast
import csv
import html.parser
import io
import json
import re
from dataclasses import replace

import event_files
import pytest
from fabricated_scores import scores
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from test_manifest import PHOTOS

from snapshot_cli import formats
from snapshot_cli import scores as score_files
from snapshot_cli.config import plan, yaml_file
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.datasets import manifest as manifests
from snapshot_cli.launch import failure
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.page import TEMPLATES
from snapshot_cli.reporting.table import LATEX, Cell, Column, Table, csv_text, latex_text
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.serving import card
from snapshot_cli.tracking import events
from snapshot_cli.tracking.event_file import extend

AWKWARD = [
    "1e3", "0o17", "25921e05", "010", "1_000", ".5", "0x1f", "-", "yes", "no", "on", "null", "~", "true", "2026-11-28",
    " leading", "trailing ", "a: b", "a #b", "- a", "? a", "{a}", "[a]", "!a", "&a", "*a*", "_a_", "`a`", "%a", "@a",
    "'", '"', "''", '"""', "\\", "a\\", "a\\|b", "|", "a|b", "$x$", "#1", "a~b", "&lt;", "<script>alert(1)</script>",
    "<!--", "]]>", "\\input{/etc/passwd}", "\\\\[1ex]", "=1+1", "+1", "@SUM(A1)", "=HYPERLINK(1)", "a,b", 'a"b,c',
    "e\u0301", "\u00e9", "\u05d0\u05d1", "\U0001f600", "\ufeffa", "a\u00a0b", "",
]  # fmt: skip
CONTROL = [*AWKWARD, "a\nb", "a\r\nb", "\t", "\x1b[2J", "a\u2028b", "caf\udce9"]
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), max_size=12)
LINES = st.one_of(st.sampled_from(AWKWARD), LINE)
NAMES = ["1e3", "0o17", "25921e05", "010", "1_000", "-1", "-", "null", "true", "yes", "0x1f", "_", "1.5", "9" * 30]
PLUGIN = {"network": "plugin:mlp", "budget": 4, "cycles": 2}


def test_the_configuration_of_a_run():
    for name, text in zip(NAMES * 10, CONTROL[:-1], strict=False):
        run = Run(dataset=name, schedule="step", network_options={"text": text, "of": [text]}, **PLUGIN)
        assert Run.model_validate(yaml_file.parse(yaml_file.written(run), "f").value) == run
        assert yaml_file.parse(yaml_file.dump({text: text}), "f").value == {text: text}


@pytest.mark.parametrize("text", CONTROL)
def test_machine_and_scores_as_json(tmp_path, text):
    """Of the command, the one text that may not be UTF-8, scores know nothing."""
    machine = {"command": ["snapshot", text]}
    machine |= {} if "\udce9" in text else {"device_name": text, "versions": {text: text}, text: text}
    experiment = Experiment(dataset="1e3", method="snapshot", **PLUGIN)
    directory = RunDirectory(tmp_path / "run")
    directory.start(plan.runs(experiment)[0], machine)
    assert RunDirectory(directory.path).machine == machine
    kept = {name: value for name, value in RunDirectory(directory.path).machine.items() if name != "command"}
    scored = scores(plan.cell(experiment), 3, machine=[kept])
    score_files.write(scored, tmp_path / "scores.json")
    assert score_files.read(tmp_path / "scores.json") == scored


@pytest.mark.parametrize("text", CONTROL)
def test_why_a_run_failed(tmp_path, text):
    assert failure.record(tmp_path, f"because of {text}") == f"because of {text}"
    said = failure.read(tmp_path).replace("\\udce9", "\udce9")
    assert said.splitlines() == f"because of {text}".strip().splitlines()


@settings(max_examples=30)
@given(st.lists(LINES, min_size=2, max_size=3), LINES)
@example(AWKWARD, "a|b")
def test_the_manifest_of_a_dataset(texts, source):
    manifest = replace(PHOTOS, classes=tuple(texts), source=source, broken=tuple(texts))
    assert manifests.from_json(manifests.to_json(manifest)) == manifest


def table(network, method, text):
    rows = {(network, method): [Cell(text, f" {text}", bold=True, footnote="a"), Cell("1.00")]}
    columns = [Column(text, text, text), Column("CIFAR-10", "paper", "paper")]
    return Table(Request("t", "T"), "A caption.", 1, text, columns, rows, [{"network": network, "error": 1.5}])


def shown(markdown):
    """Return the text of each paragraph, heading and cell as a reader of Markdown sees it, and what is HTML in it."""
    parts = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [part for part in parts if part.type == "inline"]
    texts = ["".join(child.content for child in part.children) for part in inline]
    return texts, [child for part in inline for child in part.children if child.type == "html_inline"]


@given(LINES, LINES)
@example("a\\|b", "<b>")
@example("*a*", "_a_")
def test_markdown(network, title):
    text, found = table(network, network, "5.24").markdown(), shown(f"a {formats.markdown_text(title)}")
    assert ([word.split() for word in found[0]], found[1]) == ([["a", *title.split()]], [])
    texts, markup = shown(text)
    names = [word.split() for word in texts[5:7]]
    assert (names, markup) == ([network.split()] * 2, [])
    assert len(texts) == 1 + 4 + 4 + 1


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@given(LINES)
@example("<script>alert(1)</script>")
@example("&lt;")
def test_html(text):
    reader = Reader()
    reader.feed(TEMPLATES.get_template("macros.html").module.table(table(text, text, text)))
    reader.close()
    assert set(reader.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "strong", "p"}
    assert "".join(reader.texts).count(text) >= 6


@given(LINES)
@example("\\input{/etc/passwd}")
def test_latex(text):
    back = {spelled: chr(code) for code, spelled in LATEX.items()} | {r"$\alpha_0$": "α₀"}
    pattern = re.compile("|".join(map(re.escape, sorted(back, key=len, reverse=True))))
    assert pattern.sub(lambda found: back[found[0]], latex_text(text)) == text.replace("--", "–")
    assert not set(pattern.sub("", latex_text(text))) & set("\\{}$&#^_~%|<>")
    assert sum(line.endswith(r" \\") for line in table(text, text, text).latex().splitlines()) == 3


@pytest.mark.parametrize("text", CONTROL[:-1])
def test_csv(text):
    (row,) = csv.DictReader(io.StringIO(csv_text([{"name": text, "value": 1.5}]), newline=""))
    assert row == {"name": text, "value": "1.5"}
    assert formats.table_from_bytes(formats.table_to_bytes([{"name": text}, {"name": "b"}]))[0] == {"name": text}


def test_event_files(tmp_path):
    given_settings = {f"{number} {text}": text for number, text in enumerate(CONTROL[:-1])}
    extend(tmp_path, events.session_file("1e3/é", given_settings, [], start=1.0))
    assert event_files.settings(tmp_path) == given_settings


@pytest.mark.parametrize("text", CONTROL)
def test_model_cards(text):
    metrics = dict.fromkeys(card.SCORES, 1.0)
    config = {"network": "plugin:mlp", "network_options": {"text": text}}
    facts = {
        "file": f"{text}.pt2", "format": "pt2", "sha256": "0", "input": "images", "resizing": "", "outputs": {},
        "classes": [text, "dog"], "data": {"title": text, "source": text}, "experiment": None,
        "test": {"images": 10, "ensemble": metrics, "last_member": metrics}, "selection": {"members": "all"},
        "members": [{"run": f"{text}/r", "snapshot": 1, "test_error": 1.0, "weights_sha256": "0"}],
        "runs": {f"{text}/r": {"config": config, "versions": {"plugin:mlp": text}, "device_name": text}},
        "exported_with": {"python": "3", "versions": {}},
    }  # fmt: skip
    assert json.loads(json.dumps(facts)) == facts
    content = card.markdown(facts).encode().decode()
    texts, markup = shown(content)
    assert markup == []
    assert not set(content) & set("\x1b\r\u2028")
    (code,) = [part.content for part in MarkdownIt().parse(content) if part.type == "fence"]
    assert [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)] == [f"{text}.pt2"]
    if text in AWKWARD:
        assert texts[0].split() == f"{text}.pt2".split()
        (classes,) = [line for line in texts if line.startswith("classes, in order: ")]
        assert classes.split() == f"classes, in order: {text}, dog".split()
