"""The admin page in headless Chromium: the list, a failed row, retry, how far behind.

INOTIFIER_KEEP_SCREENSHOT=1 stores what it looks like as docs/admin.png.
"""

import os
import pathlib
import shutil
import socket
import urllib.request

import harness
import pytest
from harness import wait_for
from sites import put

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--window-size=1500,820",
]


@pytest.fixture
def browser(workdir):
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in [*FLAGS, f"--user-data-dir={workdir / 'chromium'}"]:
        options.add_argument(flag)
    service = webdriver.chrome.service.Service(driver)
    browser = webdriver.Chrome(service=service, options=options)
    browser.set_page_load_timeout(60)
    browser.implicitly_wait(5)
    yield browser
    browser.quit()


@pytest.fixture
def daemon(workdir):
    daemon = harness.Daemon(workdir, [{"name": "incoming", "path": workdir / "in"}])
    daemon.start()
    yield daemon
    daemon.stop(5)
    daemon.collector.stop()


@pytest.fixture
def site(daemon, sites, workdir):
    site = sites(daemon, ROOTS={"incoming": "/srv/dicom/incoming"})
    site.query("PRAGMA journal_mode=WAL")
    os.environ.update(DJANGO_SUPERUSER_PASSWORD="secret")
    site.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org")
    return site


@pytest.fixture
def url(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.start("runserver", "--noreload", "--insecure", f"127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}/admin/"

    def answers():
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    wait_for(answers, 30, "the web server")
    return url


def log_in(browser, url):
    browser.get(url)
    browser.find_element(By.NAME, "username").send_keys("admin")
    browser.find_element(By.NAME, "password").send_keys("secret")
    browser.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    browser.get(url + "django_inotifier/inboxevent/")


def paths(browser):
    """File names in the list -> status."""
    return {
        row.find_element(By.CLASS_NAME, "field-where")
        .text.rsplit("/", 1)[-1]: row.find_element(By.CLASS_NAME, "field-state")
        .text
        for row in browser.find_elements(By.CSS_SELECTOR, "#result_list tbody tr")
    }


def lag(browser):
    return browser.find_element(By.ID, "inotifier-lag").text


def act(browser, name, action):
    for row in browser.find_elements(By.CSS_SELECTOR, "#result_list tbody tr"):
        if row.find_element(By.CLASS_NAME, "field-where").text.endswith("/" + name):
            row.find_element(By.CLASS_NAME, "action-select").click()
    Select(browser.find_element(By.NAME, "action")).select_by_value(action)
    browser.find_element(By.NAME, "index").click()
    return browser.find_element(By.CLASS_NAME, "messagelist").text


def test_list_failed_row_retry_dismiss(browser, site, url, workdir, daemon):
    study = "1.2.840.113619.2"
    put(workdir / "in", "scan_0001.pdf", "scan_0002.pdf")
    put(workdir / "in", *(f"{study}/{number}.dcm" for number in range(1, 6)))
    put(workdir / "in", f"{study}/raises-for-now.dcm", f"{study}/always-raises.dcm")
    put(workdir / "in", f"{study}/6.dcm")
    process = site.start("inotifier_consume")
    page = url + "django_inotifier/inboxevent/"

    def failed():
        return site.query(
            "SELECT 1 FROM django_inotifier_inboxevent WHERE status = 'failed' AND tries = 3"
        )

    wait_for(lambda: len(failed()) == 2, 60, "two rows to fail three times")
    log_in(browser, url)
    found = paths(browser)
    assert found["raises-for-now.dcm"] == found["always-raises.dcm"] == "failed"
    assert found["scan_0001.pdf"] == "done"
    assert "2 failed here" in lag(browser)
    wait_for(lambda: "0 events to fetch from the daemon" in lag(browser), 10, "the daemon's answer")
    assert "does not run" not in lag(browser)
    if os.environ.get("INOTIFIER_KEEP_SCREENSHOT") == "1":
        DOCS.mkdir(exist_ok=True)
        browser.save_screenshot(str(DOCS / "admin.png"))

    browser.find_element(By.LINK_TEXT, "failed").click()
    wait_for(lambda: len(paths(browser)) == 2, 10, "the failed ones")
    browser.find_element(By.CSS_SELECTOR, "#result_list tbody tr .field-where a").click()
    text = browser.find_element(By.CSS_SELECTOR, ".field-what_was_raised").text
    assert "ValueError: no" in text and "receivers.py" in text
    assert "specversion" in browser.find_element(By.CSS_SELECTOR, ".field-as_told").text

    browser.get(page)
    (site.directory / "good").touch()
    assert "1 to be retried" in act(browser, "raises-for-now.dcm", "retry")
    site.wait_for(done=9, failed=1)
    browser.get(page)
    assert paths(browser)["raises-for-now.dcm"] == "done"
    assert "1 dismissed" in act(browser, "always-raises.dcm", "dismiss")
    assert paths(browser)["always-raises.dcm"] == "dismissed"

    process.terminate()
    assert process.wait(10) == 0
    daemon.stop(5)
    browser.get(page)
    assert "1.dcm" in paths(browser)  # the page is there before the daemon has been given up
    wait_for(lambda: daemon.fetch_endpoint in lag(browser), 20, "what it says of the daemon")
    console = browser.get_log("browser")
    assert not [entry for entry in console if "Uncaught" in entry["message"]], console
