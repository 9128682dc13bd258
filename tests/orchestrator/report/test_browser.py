"""The page in a real browser: headless Chromium, driven by Playwright."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taurank.orchestrator.report import Content, write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install taurank[test]")
report_page = pytest.importorskip("benchmarks.system.report_page")
if report_page.chromium() is None:
    pytest.skip("there is no browser: install Debian's package chromium", allow_module_level=True)

COUNT = 24
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=report_page.chromium(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def content() -> Content:
    return report_page.made_up_content(COUNT)


@pytest.fixture(scope="module")
def file(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "report.html", content)


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page; nothing may be written to the console, and nothing asked of a network."""
    said: list[str] = []
    contexts = []

    def opened(path: Path = file, **settings: Any) -> Any:
        context = browser.new_context(**({"viewport": DESK} | settings))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    # Chromium remarks on the way in which a test reads canvases.
    assert not [line for line in said if not line.startswith(("data:", "blob:")) and "willReadFrequently" not in line]


def shown(page: Any, key: str = "rank") -> list[str]:
    """A column of the rows that are shown, in their order."""
    script = """key => {
        const heads = [...document.querySelectorAll('#table thead th')];
        const at = heads.findIndex(head => head.dataset.key === key);
        return [...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden)
            .map(row => row.children[at].innerText.trim());
    }"""
    return page.evaluate(script, key)


def test_sorts_by_every_column(opened: Callable[..., Any]) -> None:
    page = opened()
    ranks = [str(number) for number in range(1, COUNT + 1)]
    assert shown(page) == ranks
    keys = page.evaluate("[...document.querySelectorAll('#table thead th[data-key]')].map(head => head.dataset.key)")
    assert {"rank", "rank_low", "tier", "name", "predicted", "parameters", "flops", "seconds", "state"} <= set(keys)
    for key in keys:
        page.locator(f"th[data-key={key}] button").click()
        first = page.locator(f"th[data-key={key}]").get_attribute("aria-sort")
        page.locator(f"th[data-key={key}] button").press("Enter")
        assert {first, page.locator(f"th[data-key={key}]").get_attribute("aria-sort")} == {"ascending", "descending"}
        assert sorted(shown(page), key=int) == ranks
    assert page.locator("#table.tiers").count() == 0  # its lines are for the order by rank
    page.locator("th[data-key=flops] button").click()
    costs = [row["flops"] for row in data_of(page)]
    assert [int(rank) for rank in shown(page)] == sorted(range(1, COUNT + 1), key=lambda rank: costs[rank - 1])


def data_of(page: Any) -> list[dict[str, Any]]:
    return page.evaluate("JSON.parse(document.querySelector('#data').textContent).candidates")


def test_searches(opened: Callable[..., Any]) -> None:
    page = opened()
    page.fill("#search", "BLOCK_0003")
    assert shown(page) == ["4"]
    assert page.inner_text("#found") == f"1 of {COUNT}"
    page.fill("#search", "stopped")
    assert all(text.startswith("stopped") for text in shown(page, "state"))
    page.fill("#search", "nothing like it")
    assert shown(page) == []
    page.fill("#search", "")
    assert len(shown(page)) == COUNT


def test_hovering_links_rows_and_plots(opened: Callable[..., Any]) -> None:
    page = opened()
    row = page.locator("#c5")
    row.hover()
    assert "hover" in row.get_attribute("class")
    over = """[...document.querySelectorAll('canvas.over')]
        .map(one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(Boolean))"""
    assert page.evaluate(over) == [True, True]  # the curves and the front
    page.locator("h1").hover()
    assert page.evaluate(over) == [False, False]
    assert page.locator("tr.hover").count() == 0
    box = page.locator("[data-chart=front] .u-over").bounding_box()
    for step in range(400):
        page.mouse.move(box["x"] + box["width"] * (step % 20 + 0.5) / 20, box["y"] + box["height"] * (step // 20) / 20)
        if page.locator("tr.hover").count():
            break
    assert page.locator("tr.hover").count() == 1
    place = int(page.locator("tr.hover").get_attribute("data-c"))
    assert data_of(page)[place]["name"] in page.inner_text("#tip")
    page.mouse.down()
    page.mouse.up()
    assert page.locator("tr.chosen").get_attribute("data-c") == str(place)


def test_two_selected_are_compared(opened: Callable[..., Any], content: Content) -> None:
    page = opened()
    page.locator("#c1 input").focus()
    page.keyboard.press("Space")
    assert "block_0001" in page.inner_text("#chosen")
    assert "trained in full" in page.inner_text("#chosen")
    page.locator("#c4 td").last.click()
    codes = content.names
    first, second = (code for place, code in enumerate(codes) if place in (1, 4))
    share = round(100 * round(200 * content.ranking.probability(first, second)) / 200)
    assert page.inner_text("#beats").replace("\xa0", " ") == f"P({first} beats {second}) = {share} %"
    page.locator("#c4 input").uncheck()
    page.locator("#c1 input").uncheck()
    page.locator("#c4 input").check()
    page.locator("#c1 input").check()
    back = page.inner_text("#beats").replace("\xa0", " ")
    assert back in [f"P({second} beats {first}) = {other} %" for other in (100 - share, 100 - share + 1)]
    page.locator("#c7 input").check()  # a third replaces the oldest
    assert page.locator("tr.chosen").count() == 2
    assert not page.locator("#c4 input").is_checked()
    page.locator("#chosen button").click()
    assert page.locator("tr.chosen").count() == 0


def test_why_a_training_was_stopped(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("#c2 input").check()
    assert "stopped early at 5 of 40 epochs: place 3 of 24 at epoch 5" in page.inner_text("#chosen")


def test_the_axis_of_costs_can_be_chosen(opened: Callable[..., Any]) -> None:
    page = opened()
    options = page.locator("[data-chart=front] option").all_inner_texts()
    assert options == ["FLOPs", "parameters", "seconds per epoch of training"]
    page.locator("[data-chart=front] select").select_option("parameters")
    assert "by parameters" in page.locator("[data-chart=front] .uplot").get_attribute("aria-label")


def test_the_table_can_be_downloaded(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    with page.expect_download() as download:
        page.click("#csv")
    download.value.save_as(tmp_path / "ranking.csv")
    rows = list(csv.DictReader((tmp_path / "ranking.csv").open(encoding="utf-8", newline="")))
    assert [row["code"] for row in rows] == [row["code"] for row in data_of(page)]
    assert float(rows[0]["predicted"]) == data_of(page)[0]["predicted"]


def test_terms_are_explained(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("th [data-term=tier]").hover()
    assert "are not separated" in page.inner_text("#tip")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    page.locator(".figures [data-term='expected tau']").focus()
    assert "the ranking expects of itself" in page.inner_text("#tip")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_switch(opened: Callable[..., Any], scheme: str) -> None:
    page = opened(color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}
    assert page.evaluate(ground) == colours[scheme]
    page.click("#theme")
    other = "light" if scheme == "dark" else "dark"
    assert page.evaluate(ground) == colours[other]
    assert page.inner_text("#theme") == scheme
    page.reload()
    assert page.evaluate(ground) == colours[other]


def test_a_desk_shows_every_column(opened: Callable[..., Any]) -> None:
    page = opened()
    assert page.evaluate("(one => one.scrollWidth - one.clientWidth)(document.querySelector('.tall'))") <= 0


def test_a_telephone_needs_no_sideways_scroll(opened: Callable[..., Any]) -> None:
    page = opened(viewport=PHONE)
    page.locator("#c0 input").check()
    page.locator("#c1 input").check()
    wide = """[document.documentElement, ...document.querySelectorAll('.tall, #cards, .answer')]
        .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.className || one.tagName)"""
    assert page.evaluate(wide) == []
    for heading in ("rank", "predicted", "state", "name"):
        assert page.locator(f"th[data-key={heading}]").is_visible()
    # A line of a name ends after a separator.
    script = """(() => {
        const text = document.querySelector('#c0 th.name'), range = document.createRange(), ends = [];
        let top = null;
        for (const node of text.childNodes) {
            if (node.nodeType !== Node.TEXT_NODE) continue;
            range.selectNodeContents(node);
            if (range.getClientRects().length > 1) ends.push(node.data);
        }
        return ends;
    })()"""
    assert page.evaluate(script) == []


@pytest.mark.parametrize("settings", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": PHONE}])
def test_no_serious_finding_of_axe(opened: Callable[..., Any], settings: dict[str, Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(**settings)
    page.locator("#c0 input").check()
    page.locator("#c2 input").check()
    found = axe.Axe().run(page).response
    assert found["passes"]
    assert [(one["impact"], one["id"]) for one in found["violations"] if one["impact"] in ("serious", "critical")] == []


def test_static_figures_without_a_script_and_in_print(opened: Callable[..., Any]) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator(".static svg").first.is_visible()
    assert page.locator("#search").is_hidden()
    assert page.locator("#c0").is_visible()
    page = opened()
    assert page.locator(".static svg").first.is_hidden()
    page.emulate_media(media="print")
    assert page.locator(".static svg").first.is_visible()
    assert page.locator("#cards").is_hidden()


def test_hostile_names_do_nothing(opened: Callable[..., Any], content: Content, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>&amp;"
    names = {code: f"{hostile}{place}" for place, code in enumerate(content.names)}
    page = opened(
        write_page(tmp_path / "page.html", replace(content, names=names, description=hostile, notes=[hostile]))
    )
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.locator("#c0 input").check()
    page.locator("#c1 input").check()
    page.locator("#c3").hover()
    assert page.locator("img").count() == 0
    assert f"{hostile}0" in page.inner_text("#beats")


@pytest.mark.slow
def test_a_thousand_candidates(opened: Callable[..., Any], tmp_path: Path) -> None:
    file = write_page(tmp_path / "page.html", report_page.made_up_content(1000))
    assert file.stat().st_size < 6e6
    page = opened(file)
    assert len(shown(page)) == 1000
    page.fill("#search", "block_0999")
    assert shown(page) == ["1000"]
    page.fill("#search", "")
    page.locator("th[data-key=rank] button").click()
    assert shown(page)[:2] == ["1000", "999"]


def test_a_page_of_a_hundred_is_small(tmp_path: Path) -> None:
    assert write_page(tmp_path / "page.html", report_page.made_up_content(100)).stat().st_size < 3e6
