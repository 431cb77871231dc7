"""The demos in a headless Chromium: python3 -m pytest examples/web, with gradio, selenium, chromium and chromium-driver."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("gradio")
pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples/demo-model"
# Seconds after which something that should have happened counts as failed.
PATIENCE = 60

if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("chromium and chromium-driver are not installed", allow_module_level=True)


@contextlib.contextmanager
def demo(name, *options):
    """The address of a running demo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "examples/web" / name), "--port", str(port), "--model_path", str(MODEL)]
    search = os.pathsep.join(filter(None, [str(ROOT / "bindings/python/src"), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen([*command, "--threads", "1", *options], env={**os.environ, "PYTHONPATH": search})
    try:
        address = f"http://127.0.0.1:{port}/"
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextlib.contextmanager
def browser(language="en-US", phone=False):
    options = webdriver.ChromeOptions()
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        f"lang={language}",
        "window-size=1100,1000",
    ):
        options.add_argument(f"--{argument}")
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    if phone:
        options.add_experimental_option(
            "mobileEmulation", {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 1.0}}
        )
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def chat():
    with demo("chat_demo.py") as address:
        yield address


class Page:
    """An open page of a demo."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)
        self.until(lambda: driver.find_elements(By.CSS_SELECTOR, "#stop"))

    def until(self, is_so):
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: is_so())

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def write(self, text, where="#message"):
        self.find(f"{where} textarea, {where} input").send_keys(text)

    def click(self, name):
        button = self.find(f"#{name}")
        self.driver.execute_script("arguments[0].click()", button)

    def messages(self, role):
        # In one step, because the page replaces its elements as it grows.
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText.trim())"
        return self.driver.execute_script(script, f"#history [data-testid={role}]")

    def value(self, where):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0]).value", f"{where} :is(textarea, input)"
        )

    def until_answered(self):
        self.until(lambda: "tokens/s" in self.value("#figures"))


QUESTION = "How many legs does a spider have?"
STORY = "Tell me a short story about a hedgehog named Milo."


def test_a_conversation(chat):
    with browser() as driver:
        page = Page(driver, chat)
        page.write(QUESTION + Keys.ENTER)
        page.until_answered()
        assert page.messages("user") == [QUESTION]
        assert "legs" in page.messages("bot")[0]
        page.write("And a penguin?" + Keys.ENTER)
        page.until(lambda: len(page.messages("bot")) == 2)
        page.click("undo")
        page.until(lambda: len(page.messages("user")) == 1 and page.value("#message") == "And a penguin?")
        before = page.value("#figures")
        page.click("retry")
        page.until(lambda: page.value("#figures") != before)
        page.until_answered()
        assert page.messages("user") == [QUESTION]
        assert "legs" in page.messages("bot")[0]
        page.click("clear")
        page.until(lambda: not page.messages("user") and not page.messages("bot"))
        requests = [json.loads(line["message"])["message"] for line in driver.get_log("performance")]
        urls = [
            entry["params"]["request"]["url"] for entry in requests if entry["method"] == "Network.requestWillBeSent"
        ]
        foreign = [url for url in urls if not url.startswith((chat, "data:", "blob:", "chrome"))]
        assert urls
        assert not foreign


def test_stop_ends_an_answer_and_leaves_what_there_is(chat):
    with browser() as driver:
        page = Page(driver, chat)
        # An answer may have ended before the click.
        for _ in range(5):
            page.click("clear")
            page.until(lambda: not page.messages("user") and not page.value("#figures"))
            page.write(STORY + Keys.ENTER)
            page.until(lambda: any(page.messages("bot")))
            page.click("stop")
            time.sleep(1)
            if "tokens/s" not in page.value("#figures"):
                break
        assert "tokens/s" not in page.value("#figures")
        assert page.messages("bot")[0]
        page.write(QUESTION + Keys.ENTER)
        page.until_answered()


def test_two_tabs_have_their_own_conversations(chat):
    with browser() as one, browser() as other:
        first, second = Page(one, chat), Page(other, chat)
        first.write(STORY + Keys.ENTER)
        second.write(QUESTION + Keys.ENTER)
        second.until_answered()
        first.until_answered()
        assert first.messages("user") == [STORY]
        assert second.messages("user") == [QUESTION]


def test_the_page_speaks_chinese_and_fits_a_phone(chat):
    with browser("zh-CN", phone=True) as driver:
        page = Page(driver, chat)
        page.until(lambda: page.find("#send").text == "发送")
        assert page.find("#clear").text == "清空"
        width = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1]


def test_a_text_is_continued():
    with demo("text_generation_demo.py") as address, browser() as driver:
        page = Page(driver, address)
        page.write("Once upon a time", "#input")
        page.click("generate")
        page.until_answered()
        assert page.value("#output")
        page.click("clear")
        page.until(lambda: not page.value("#output") and not page.value("#input"))
