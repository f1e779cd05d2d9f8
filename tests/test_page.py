import re

import pytest
from fabricated_runs import experiment, finish_cells, study

from snapshot_cli.reporting import page, report

METHODS = [experiment(method) for method in ("single", "dropout", "nocycle", "singlecycle", "snapshot")]


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The page of a finished study <of five methods>, and of one of which nothing is finished."""
    results = tmp_path_factory.mktemp("results")
    rendered = {"table": "methods", "figure": "ensemble-size", "story": "story"}
    asked = study(*METHODS, render=rendered).model_copy(update={"title": "Table <1>"})
    finish_cells(asked, results, lambda run, k: 3 * k)
    nothing = study(experiment(seed=7)).model_copy(update={"title": "Nothing & none"})
    sheets = [report.draw(nothing, results, {}, argument="b"), report.draw(asked, results, {}, argument="a")]
    return page.page(sheets, title="All")


def test_the_answer_stands_first_with_the_matrix_and_the_story(html):
    answer, section = html.index("<h2>Summary</h2>"), html.index('<section id="s1')
    assert answer < section < html.rindex("Redraw: <code>snapshot report a</code>")
    assert "these weights only" in html[answer:section]
    assert html[answer:section].count('<svg class="drawn"') == 1
    assert html.count('<svg class="drawn"') == 2  # the story is not drawn twice


def test_a_page_of_one_study_says_its_title_once_as_a_heading_and_lists_no_contents(html):
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert headings == ["Summary", "Table &lt;1&gt;", "Nothing finished yet"]
    assert "<nav" not in html


def test_a_page_of_two_studies_lists_their_titles_first(tmp_path):
    both = [study(experiment("single")).model_copy(update={"title": title}) for title in ("One", "Two")]
    finish_cells(both[0], tmp_path, lambda run, k: 3 * k)
    html = page.page([report.draw(each, tmp_path, {}) for each in both], title="All")
    contents = html[html.index("<nav") : html.index("</nav>")]
    assert re.findall(r'<a href="#(.*?)">(.*?)</a>', contents) == [("s1-one", "One"), ("s2-two", "Two")]


def test_text_is_escaped_and_nothing_is_loaded_from_elsewhere(html):
    assert "Table &lt;1&gt;" in html
    assert "<1>" not in html
    assert html.lstrip().startswith("<!DOCTYPE html>")
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert "<script" not in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_studies_of_which_nothing_is_finished_are_listed_last(html):
    assert html.index("Nothing finished yet") < html.index("Nothing &amp; none")
    assert html.index("Nothing &amp; none") > html.rindex("<figure")
    assert "<code>snapshot reproduce b</code>" in html


def test_every_run_is_listed_once_with_its_config(html):
    summaries = re.findall(r"<summary><code>(digits/[^<]+)</code>", html)
    assert len(summaries) == len(set(summaries)) == 5
    assert "dataset: digits" in html
    assert "unknown: not trained from a git checkout" in html
