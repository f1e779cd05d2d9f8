import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from snapshot_cli.reporting import figures, html

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RUN = html.RunFacts(
    run_id="cifar10/resnet-8-cosine-M2-0badcafe",
    config="dataset: cifar10\nnetwork: resnet-8\n",
    seconds=192.4,
    device="AMD EPYC",
    versions={"torch": "2.14.1", "numpy": "2.4.6"},
    commit="22e1bf1",
    dirty=True,
    started="2026-11-24T15:01:13+00:00",
)


def figure(title="ResNet-8"):
    curve = figures.Curve("Snapshot", "snapshot", 0.1, [5.0, 4.0])
    return figures.ensemble_size([figures.SizePanel(title, [curve], 5.5)])


def panels():
    curve = figures.Curve("Snapshot", "snapshot", 0.1, [5.0, 4.0])
    return figures.ensemble_size([figures.SizePanel("A", [curve], 5.5)] * 2)


def page():
    table = html.TableBlock(
        "Look at this & that.", pd.DataFrame({"error": ["5.52"]}), ["Errors in percent."], "redraw it"
    )
    picture = html.FigureBlock("It falls.", figure(), "Error falls from 5 to 4.", ["A note."], "snapshot plot")
    wide = html.FigureBlock("Both fall.", panels(), "Two panels.")
    return html.page(
        "Tables <and> figures",
        ["First.", "Second & third."],
        [
            html.Section("Table 1: all methods", ["Some words."], [table, picture]),
            html.Section("Table 1: all methods", (), [wide]),
            html.Section("Runs", (), (), [RUN, html.RunFacts("digits/a-1", "dataset: digits")]),
        ],
    )


class Elements(HTMLParser):
    """Collect the elements of a page with their attributes, and check that what is opened is closed."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data.strip())

    def all(self, tag, **attributes):
        return [a for name, a in self.found if name == tag and attributes.items() <= a.items()]


@pytest.fixture(scope="module")
def elements():
    return Elements(page())


def test_the_page_is_well_formed_with_one_title(elements):
    assert elements.text["h1"] == elements.text["title"] == ["Tables <and> figures"]
    assert elements.text["h2"] == ["Contents", "Table 1: all methods", "Table 1: all methods", "Runs"]
    assert elements.text["p"][:3] == ["First.", "Second & third.", "Some words."]
    assert elements.all("meta", name="viewport")


def test_the_contents_list_leads_to_every_section(elements):
    links = [link["href"] for link in elements.all("a")]
    anchors = ["#" + section["id"] for section in elements.all("section")]
    assert links == anchors == ["#s1-table-1-all-methods", "#s2-table-1-all-methods", "#s3-runs"]


def test_every_table_and_figure_has_a_caption_and_its_command(elements):
    assert [each["class"] for each in elements.all("figure")] == ["table", "column", "wide"]
    assert elements.text["figcaption"] == ["Look at this & that.", "It falls.", "Both fall."]
    assert len(elements.all("svg")) == 2
    assert [each["aria-label"] for each in elements.all("div", role="img")] == [
        "Error falls from 5 to 4.",
        "Two panels.",
    ]
    assert elements.text["code"][:2] == ["redraw it", "snapshot plot"]
    assert len(elements.all("table")) == 1


def test_no_id_stands_twice(elements):
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_nothing_outside_the_page_is_asked_for(elements):
    text = page()
    assert not re.search(r"(https?:)?//", text.replace("/////", ""))
    assert not elements.all("script")
    assert not elements.all("link")
    addresses = [a[name] for _, a in elements.found for name in ("src", "href", "xlink:href") if name in a]
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    (policy,) = [each["content"] for each in elements.all("meta") if "http-equiv" in each]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_runs_are_listed_with_config_and_what_is_known(elements):
    facts = list(zip(elements.text["dt"], elements.text["dd"], strict=True))
    assert facts == [
        ("started", "2026-11-24T15:01:13+00:00"),
        ("training time", "3 min 12 s"),
        ("device", "AMD EPYC"),
        ("versions", "torch 2.14.1, numpy 2.4.6"),
        ("commit", "22e1bf1, from a checkout with uncommitted changes"),
        ("commit", "not known: not trained from a git checkout"),
    ]
    assert elements.text["pre"] == ["dataset: cifar10\nnetwork: resnet-8", "dataset: digits"]
    assert elements.text["strong"] == ["uncommitted changes"]
    assert len(elements.all("details")) == 2


def test_the_same_content_gives_the_same_page():
    assert page() == page()


def opened(address, profile):
    """Return the page as a headless browser has it once it is loaded."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
        f"--user-data-dir={profile}", "--window-size=1400,1000", "--dump-dom", address.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_opens_the_page(tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page())
    dom = opened(file, tmp_path / "profile")
    assert [dom.count(f"<{tag}") for tag in ("svg", "figcaption", "details", "table", "h2")] == [2, 3, 2, 1, 4]
    assert "</main>" in dom


def widths(tmp_path, page, width, element):
    """Open a page in a frame of a width, as browsers have no window that narrow: an element's needed and real width."""
    asks = f"const e = {element}; document.title = `${{e.scrollWidth}} of ${{e.clientWidth}}`"
    policy = "style-src 'unsafe-inline'"
    framed = page.replace(policy, f"script-src 'unsafe-inline'; {policy}")
    framed = framed.replace("</main>", f"</main><script>onload = () => {{ {asks} }}</script>")
    (tmp_path / "report.html").write_text(framed)
    shows = "<script>onload = () => { document.title = frames[0].document.title }</script>"
    holder = tmp_path / "holder.html"
    holder.write_text(f'<title></title><iframe src="report.html" width="{width}" height="900"></iframe>{shows}')
    found = re.search(r"<title>(\d+) of (\d+)</title>", opened(holder, tmp_path / "profile"))
    return int(found[1]), int(found[2])


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(tmp_path, width):
    needed, there = widths(tmp_path, page(), width, "document.documentElement")
    assert needed == there
    assert width - 20 <= there <= width  # less a scroll bar


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_table_of_errors_fits_a_small_screen(tmp_path):
    committed = (Path(__file__).parents[1] / "results/small/report.html").read_text()
    needed, there = widths(tmp_path, committed, 390, "document.querySelector('.scroll')")
    assert needed == there
