"""docs/tutorial.py, its page docs/tutorial.md, and scripts/render_tutorial.py, which writes the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from charloom.corpus.articles import read_articles
from charloom.corpus.sources import SAMPLE
from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

PROGRAM, PAGE = CHECKOUT / "docs" / "tutorial.py", CHECKOUT / "docs" / "tutorial.md"
RENDERER = CHECKOUT / "scripts" / "render_tutorial.py"
NUMBER = r"(-?[\d,]+(?:\.\d+)?)"
SMALL = """\
# %% [markdown]
# # A title
#
# A sentence.

# %%
from matplotlib import pyplot


def double(number: int) -> int:
    return 2 * number


# %%
print(double(21))
_, axes = pyplot.subplots(num="small-picture")
axes.set_title("A picture")

# %%
print(double(2), __name__)
"""


def run(script: Path, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(PYTHONPATH=str(CHECKOUT / "src"), **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def code_cells(program: str) -> list[str]:
    """The cells of code of a program in the percent format."""
    cells = re.split(r"^# %%", program, flags=re.MULTILINE)
    return [cell.strip("\n") for cell in cells[1:] if not cell.startswith(" [markdown]")]


def fenced(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


def numbers(line: str, text: str) -> list[float]:
    """The numbers of the first line that matches the pattern `line`, in which # is a number."""
    found = re.search(line.replace("#", NUMBER), text)
    assert found, line
    return [float(number.replace(",", "")) for number in found.groups()]


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the tutorial prints as a program, in an empty folder. Only torch may leave a file behind."""
    folder, temporary = tmp_path_factory.mktemp("cwd"), tmp_path_factory.mktemp("tmp")
    done = run(PROGRAM, cwd=folder, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert not [path for path in (*folder.iterdir(), *temporary.iterdir()) if not path.name.startswith("torch")]
    return done.stdout


@pytest.fixture(params=["program", "page"])
def output(request: pytest.FixtureRequest) -> str:
    """What the tutorial prints: now, and when its page was written."""
    if request.param == "program":
        return str(request.getfixturevalue("printed"))
    return "\n".join(fenced(PAGE.read_text(encoding="utf-8"), "text"))


def test_the_vocabulary_and_its_faults(output: str) -> None:
    texts = [article.text for article in read_articles(SAMPLE / "train.csv")]
    seen = list(dict.fromkeys("".join(texts)))
    assert numbers("Vocabulary size = #", output) == [len(seen)]
    assert f"Character with code 13 is {seen[13]}\n" in output
    assert f"[0, 0] → '{seen[0] * 2}'" in output
    assert f"'Tickets cost 25 €' → 'Tickets cost 25 {seen[0]}'" in output
    assert "the same ids as in the tutorial: True" in output
    assert f"<unk> is {len(seen) + 1}, and '€' is [{len(seen) + 1}]" in output


def test_a_one_hot_vector_gives_what_a_look_up_gives(output: str) -> None:
    assert output.count("symbols, the results are equal: True") == 2
    assert numbers("# as a one-hot vector, # as the tutorial's id, # as charloom's id", output) == [4 * 79, 8, 1]


def test_the_faults_of_get_batch(output: str) -> None:
    lengths = [len(article.text) for article in read_articles(SAMPLE / "train.csv")]
    assert "RuntimeError: expand(" in output
    assert numbers("windows in a batch: # to #", output) == [min(lengths) - 100, max(lengths) - 100]
    assert "the same windows without the loop: True" in output
    assert "a batch has the shape (26, 16)" in output


def test_the_faults_of_the_network(output: str) -> None:
    assert "AttributeError: 'MisnamedGenerator' object has no attribute 'nn'" in output
    assert "gives the same logits: True" in output


def test_each_row_of_the_table_is_better_than_the_tutorial(output: str) -> None:
    row = r" +# +# s +# +#"
    (read, _, _, tutorial), *rest = (
        numbers(name + row, output)
        for name in ("tutorial", "as many steps", "more steps", "whole corpus", "with a memory")
    )
    texts = [article.text for article in read_articles(SAMPLE / "train.csv")]
    assert read == sum(map(len, texts[:119]))
    assert [row[0] for row in rest] == [119 * 250, read - read % 100, 640_000, 640_000]
    bits = [row[3] for row in rest]
    assert tutorial > bits[1] > bits[2] > bits[3]
    assert abs(bits[0] - tutorial) < 0.3  # "about as much"


def test_the_state_is_worth_carrying(output: str) -> None:
    assert numbers("state forgotten: #", output) > numbers("state carried: +#", output)


def test_the_first_letter_of_a_word_is_the_hardest(output: str) -> None:
    first, *others = numbers("letters of long words: # # # # # #", output)
    assert first > max(others)
    assert others[0] > others[-1]


def test_greedy_text_repeats_itself(output: str) -> None:
    for repeated in (repeats := re.findall(r"^    repeats: '(.+)'$", output, re.MULTILINE)):
        assert repeated.strip()
    assert len(repeats) == 3


def test_a_higher_temperature_makes_the_network_less_sure(output: str) -> None:
    found = [numbers(f"at temperature {each}: as unsure as among # characters", output)[0] for each in (0.3, 0.8, 1.8)]
    assert found == sorted(set(found))
    assert "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0" in output
    assert "the fixed code writes: 'today " in output
    assert "alone or with others, text 0 is the same: True" in output


def test_a_memory_copies_more(output: str) -> None:
    [plain], [remembering] = (numbers(f"{name} a memory, temperature 0.5: #%", output) for name in ("without", "with"))
    assert remembering > plain


def test_the_page_has_the_code_of_the_program() -> None:
    assert fenced(PAGE.read_text(encoding="utf-8"), "python") == code_cells(PROGRAM.read_text(encoding="utf-8"))


def test_the_page_has_the_text_of_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for line in PROGRAM.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and not line.startswith("# %%"):
            assert line[2:] in page


def headings(page: Path) -> list[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_all_links_and_pictures_of_the_page_exist() -> None:
    text = re.sub(r"^```.*?^```$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 10
    assert sum(link.startswith("images/") for link in links) == 2
    for link in links:
        path, _, anchor = link.partition("#")
        if not path.startswith("https://"):
            target = PAGE.parent / path
            assert target.exists(), link
            assert not anchor or anchor in headings(target), link


def test_the_page_names_no_place_of_the_machine() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for place in (str(CHECKOUT), "/home/", "/tmp", "/work"):
        assert place not in page


def test_the_renderer_writes_text_code_output_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL, encoding="utf-8")
    done = run(RENDERER, tmp_path / "small.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "small.md").read_text(encoding="utf-8")
    assert "\n\n# A title\n\nA sentence.\n\n```python\nfrom matplotlib import pyplot\n" in page
    assert fenced(page, "python") == code_cells(SMALL)
    assert fenced(page, "text") == ["42", "4 __main__"]
    assert page.count("![A picture](images/small-picture.png)") == 1
    assert (tmp_path / "images" / "small-picture.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "small.md", "small.py"]


def test_an_error_names_the_line_and_keeps_the_old_page(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text("# %%\nprint(1)\n\n# %%\n1 / 0\n", encoding="utf-8")
    (tmp_path / "small.md").write_text("old", encoding="utf-8")
    done = run(RENDERER, tmp_path / "small.py", cwd=tmp_path)
    assert done.returncode == 1
    assert 'File "small.py", line 5' in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert (tmp_path / "small.md").read_text(encoding="utf-8") == "old"
