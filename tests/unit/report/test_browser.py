"""The pages in a real browser: sorting, keyboard, a phone's width, hostile text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from report.test_html import EVIL, evil

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Debian's packages chromium and chromium-driver"
)
webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
__all__ = ["evil"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def visit(browser, page: Path, width: int = 1280) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def column(browser, table: int, number: int) -> list[str]:
    """The values of a column, from the top."""
    script = """return Array.from(document.querySelectorAll("table")[arguments[0]].tBodies[0].rows)
        .map(row => row.cells[arguments[1]].dataset.value || row.cells[arguments[1]].innerText)"""
    return browser.execute_script(script, table, number)


def heads(browser, table: int) -> list:
    return browser.find_elements("css selector", "table")[table].find_elements(
        "css selector", "thead button"
    )


def test_heads_sort_by_number_both_ways(browser, written: Path) -> None:
    visit(browser, written / "index.html")
    head = heads(browser, 0)[1]
    head.click()
    falling = [float(value) for value in column(browser, 0, 1)]
    assert falling == sorted(falling, reverse=True) and len(set(falling)) == 3
    cell = head.find_element("xpath", "..")
    assert cell.get_attribute("aria-sort") == "descending"
    head.click()
    assert [float(value) for value in column(browser, 0, 1)] == falling[::-1]
    assert cell.get_attribute("aria-sort") == "ascending"
    heads(browser, 0)[0].click()
    names = column(browser, 0, 0)
    assert names == sorted(names)
    assert cell.get_attribute("aria-sort") == "none"
    assert browser.get_log("browser") == []


def test_absent_numbers_go_last_either_way(browser, written: Path) -> None:
    visit(browser, written / "index.html")
    script = """const row = document.querySelector("table").tBodies[0].rows[1];
        row.cells[1].removeAttribute("data-value");
        row.cells[1].innerHTML = '<span class="absent">x</span>';"""
    browser.execute_script(script)
    for _ in range(2):
        heads(browser, 0)[1].click()
        assert column(browser, 0, 1)[-1] == "x"


def test_the_keyboard_is_enough(browser, written: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(browser, written / "index.html")
    seen = []
    for _ in range(6):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        seen.append((active.tag_name, active.get_attribute("class"), active.text.split("\n")[0]))
        if active.tag_name == "button" and "accuracy, clean" in active.text:
            break
    assert seen[0][:2] == ("a", "skip")
    assert ("div", "scroll") in [entry[:2] for entry in seen]
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    falling = [float(value) for value in column(browser, 0, 1)]
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    assert [float(value) for value in column(browser, 0, 1)] == sorted(falling)
    # The next stop says what the number is.
    browser.switch_to.active_element.send_keys(Keys.TAB)
    definition = browser.find_element("id", "metric-accuracy_clean")
    assert not definition.is_displayed()
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert definition.is_displayed() and definition.text.startswith("accuracy_clean")


def test_one_task_is_shown_at_first_and_another_when_it_is_chosen(browser, written: Path) -> None:
    visit(browser, written / "index.html")

    def shown() -> list[str]:
        titles = browser.find_elements("css selector", ".task h2")
        return [title.text for title in titles if title.is_displayed()]

    options = browser.find_elements("css selector", ".choose option")
    names = [option.text for option in options]
    assert len(names) == len(set(names)) > 2 and shown() == names[:1]
    options[2].click()
    assert shown() == names[2:3]
    sections = browser.find_elements("css selector", "main > details")
    assert len(sections) >= 5 and not any(section.get_attribute("open") for section in sections)
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_the_first_screen_holds_table_and_figure(
    browser, written: Path, width: int, scheme: str
) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    visit(browser, written / "index.html", width)
    table = browser.find_element("css selector", ".task .scroll").rect
    figure = browser.find_element("css selector", ".first figure").rect
    if width == 1400:
        assert table["x"] + table["width"] <= figure["x"]
        assert max(table["y"] + table["height"], figure["y"] + figure["height"]) <= 800
    else:
        assert table["y"] + table["height"] <= figure["y"] <= 800
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(", "))) > 384) is (scheme == "light")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_models_page_begins_with_its_worst_numbers(browser, written: Path) -> None:
    visit(browser, written / "models" / "org_tiny.html")
    table = browser.find_element("css selector", "h2 + .scroll table")
    rows = [row.text for row in table.find_elements("css selector", "tbody tr")]
    assert rows[0].startswith("accuracy") and any(row.startswith("ifr") for row in rows)
    assert table.rect["y"] < 400


def test_a_link_leads_to_the_model_and_back(browser, written: Path) -> None:
    visit(browser, written / "index.html")
    browser.find_element("link text", "org/tiny (load_in_8bit=True)").click()
    assert browser.title == "org/tiny (load_in_8bit=True)"
    assert len(browser.find_elements("css selector", ".flips > li")) > 5
    browser.find_element("link text", "Leaderboard").click()
    assert browser.title == "Leaderboard"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("page", ["index.html", "models/org_tiny.html"])
def test_a_phone_shows_the_page_without_scrolling_sideways(
    browser, written: Path, page: str
) -> None:
    visit(browser, written / page, width=375)
    root = "document.documentElement"
    script = f"return [{root}.scrollWidth, {root}.clientWidth]"
    width, visible = browser.execute_script(script)
    assert width == visible <= 375
    script = """return Array.from(document.querySelectorAll("main *")).filter(
        e => !e.closest(".scroll") && e.getBoundingClientRect().right > arguments[0]).length"""
    assert browser.execute_script(script, visible + 1) == 0
    assert browser.get_log("browser") == []


LOADED = "return Array.from(document.images).filter(i => i.naturalWidth).length"


@pytest.mark.parametrize("page", ["index.html", "models/org_tiny.html"])
def test_figures_are_loaded_when_they_are_looked_at(browser, written: Path, page: str) -> None:
    visit(browser, written / page)
    every = len(browser.find_elements("css selector", "img"))
    # Those of a closed section are not; how far ahead others are loaded is the browser's affair.
    assert page != "index.html" or browser.execute_script(LOADED) < every
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for image in browser.find_elements("css selector", "img"):
        browser.execute_script("arguments[0].scrollIntoView()", image)
        wait(browser, lambda image=image: image.get_property("naturalWidth") > 0)
    assert browser.execute_script(LOADED) == every > 4
    assert browser.get_log("browser") == []


def wait(browser, true: Callable[[], bool]) -> None:
    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: true())


def test_a_link_leads_to_a_table_which_sorts(browser, written: Path) -> None:
    visit(browser, written / "index.html")
    browser.find_element("css selector", "#all > summary").click()
    browser.find_element("link text", "ece ↓").click()
    assert browser.title == "ece ↓"
    heads(browser, 0)[1].click()
    falling = [float(value) for value in column(browser, 0, 1)]
    assert falling == sorted(falling, reverse=True) and len(falling) == 3
    browser.find_element("link text", "org/tiny").click()
    assert browser.title == "org/tiny"
    assert browser.get_log("browser") == []


def test_hostile_texts_are_text(browser, evil: Path) -> None:
    for page in sorted(evil.rglob("*.html")):
        visit(browser, page, width=375)
        assert browser.title != "owned"
        assert (
            "<script>document.title = 'owned'</script>"
            in browser.find_element("tag name", "body").text
        )
        assert len(browser.find_elements("tag name", "script")) == 1
        assert browser.get_log("browser") == []
    (page,) = evil.glob("models/*.html")
    visit(browser, page, width=375)
    quotes = browser.find_elements("css selector", ".quote")
    assert len(quotes) > 10 and all(element.text == EVIL for element in quotes)


def test_a_script_that_got_in_would_not_run(browser, evil: Path) -> None:
    visit(browser, evil / "index.html")
    browser.execute_script(
        """const s = document.createElement("script");
        s.textContent = "document.title = 'owned'"; document.body.append(s);"""
    )
    assert browser.title == "Leaderboard"
    assert "Content Security Policy" in browser.get_log("browser")[0]["message"]
