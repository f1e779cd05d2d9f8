from snapshot_cli.reporting import frames


def test_markdown_csv_and_latex(tmp_path):
    lines = {("ResNet-8", "a|b"): ["1.00", "–"], ("ResNet-8", "Snapshot (α₀ = 0.1)"): ["2.00", ">4"]}
    frame = frames.frame(lines, ["error", "top_5"], dataset="CIFAR-10")
    records = [{"method": "a|b", "error": 1 / 3, "top-5": None}, {"method": "c", "error": float("nan"), "top-5": 4}]
    paths = frames.write(frame, records, tmp_path / "new/t", title="A title", notes=["5 % of α₀.", "Second."])
    assert [path.name for path in paths] == ["t.md", "t.csv", "t.tex"]
    markdown, table, latex = (path.read_text().splitlines() for path in paths)
    cells = [[cell.strip() for cell in line.replace(r"\|", "/").split("|")[1:-1]] for line in markdown[2:6]]
    assert cells[0] == ["network", "method", "error", "top_5"]
    assert cells[2:] == [["ResNet-8", "a/b", "1.00", "–"], ["ResNet-8", "Snapshot (α₀ = 0.1)", "2.00", ">4"]]
    assert (markdown[0], markdown[6:]) == ("# A title", ["", "5 % of α₀.", "", "Second."])
    assert table == ["method,error,top-5", "a|b,0.3333333333,", "c,nan,4"]
    assert r"ResNet-8 & a|b & 1.00 & -- \\" in latex
    assert r" & Snapshot ($\alpha_0$ = 0.1) & 2.00 & $>$4 \\" in latex
    assert r" &  & error & top\_5 \\" in latex
    assert latex[-2:] == [
        r"\par\noindent{\footnotesize 5 \% of $\alpha_0$.\par}", r"\par\noindent{\footnotesize Second.\par}"
    ]  # fmt: skip


def test_a_title_is_one_line_and_no_markup(tmp_path):
    table = frames.frame({("ResNet-8", "a"): ["1.00"]}, ["error"], dataset="CIFAR-10")
    title = "<script>\n\\input{/etc/passwd}"
    markdown, _, latex = frames.write(table, [{"error": 1}], tmp_path / "t", title=title, notes=[])
    assert markdown.read_text().splitlines()[0] == r"# &lt;script>\n\input{/etc/passwd}"
    lines = [line for line in latex.read_text().splitlines() if "input" in line]
    assert lines == [r"% <script>\n\input{/etc/passwd}: needs \usepackage{booktabs}"]
