"""Uses the live page in a real browser, Chromium without a window, as a person would, and checks what is drawn.

    python3 page.py URL URL_WITH_CANCEL URL_WITH_QUEUES URL_WITH_RETRY URL_WITH_BROKEN_QUEUES NAME_OF_A_QUEUE_AS_JSON [FOLDER_FOR_PICTURES]

It speaks the DevTools protocol over a websocket. The exit status is 77 if Chromium or the module `websocket` is not installed.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

try:
    import websocket
except ImportError:
    sys.exit(77)

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCRIPT = "<script>alert(1)</script>"
LONG = 60


class Tab:
    """A tab of the browser, and what its console has said."""

    def __init__(self, address):
        self.socket = websocket.create_connection(address, timeout=LONG, suppress_origin=True)
        self.number, self.errors = 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            self.note(message)
            if message.get("id") == self.number:
                assert "error" not in message, (method, message)
                return message["result"]

    def note(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert", "warning"):
            self.errors.append(parameters)
        elif method == "Page.javascriptDialogOpening":
            self.errors.append("a script of a task's name ran")

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def until(self, what, expression):
        deadline = time.monotonic() + LONG
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"gave up waiting until {what}: {expression}\n{self.errors}"
            time.sleep(0.05)
        return value

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.until("the page is loaded", "document.readyState === 'complete' && !!document.querySelector('#phase')")

    def key(self, key, code=None, text=None):
        numbers = {"Tab": 9, "Enter": 13, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=numbers.get(key, 0), **more)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def theme(self, theme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


# Each canvas with more than one colour in it that is not transparent.
DRAWN = """
[...document.querySelectorAll('#charts canvas')].map(canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colors = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) colors.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  return colors.size;
})
"""
# Pixels in the colour of the first series.
LINES = """
(() => {
  const wanted = getComputedStyle(document.documentElement).getPropertyValue('--one').trim().slice(1).match(/../g).map(part => parseInt(part, 16));
  const { width, height } = document.querySelector('#charts canvas');
  const { data } = document.querySelector('#charts canvas').getContext('2d').getImageData(0, 0, width, height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) if (wanted.every((part, index) => Math.abs(data[at + index] - part) < 24) && data[at + 3] > 128) count += 1;
  return count;
})()
"""


def check_page(tab, address, pictures):
    tab.size(1280)
    tab.theme("light")
    tab.open(address)
    tab.until("numbers are there", "document.querySelectorAll('#numbers dd').length >= 8")
    tab.until("there are five charts", "document.querySelectorAll('#charts canvas').length === 5")
    tab.until("every chart has axes", f"{DRAWN}.every(colors => colors > 1)")
    tab.until("a line is drawn", f"{LINES} > 20")
    tab.until("both workers are shown", "document.querySelectorAll('#workers li').length === 2")
    tab.until("the stall is named", "document.querySelector('#stalls li')?.textContent.includes('stuck')")
    tab.until("where it was spawned is said", "document.querySelector('#stalls .place')?.textContent.includes('.rs:')")
    tab.until("the failure's message is shown", "document.querySelector('#failures .message')?.textContent.includes('on purpose')")
    tab.until("tasks are listed", "document.querySelectorAll('#tasks tr').length > 3")
    if pictures:
        tab.picture(pictures / "light.png")


def check_names(tab):
    names = "[...document.querySelectorAll('#tasks .name')].map(cell => cell.textContent)"
    tab.evaluate("document.querySelector('#filter').focus()")
    tab.type("alert(1)")
    tab.until("the filter is in the address", "new URLSearchParams(location.search).get('filter') === 'alert(1)'")
    tab.until("one task is left", f"JSON.stringify({names}) === JSON.stringify([{json.dumps(SCRIPT)}])")
    assert tab.evaluate("document.querySelectorAll('#tasks script').length") == 0
    assert "1 of" in tab.evaluate("document.querySelector('#found').textContent")
    # The order is in the address, too.
    tab.evaluate("document.querySelector('th[data-sort=busy] button').click()")
    tab.until("the order is in the address", "new URLSearchParams(location.search).get('sort') === '-busy'")
    tab.until("the order is told", "document.querySelector('th[data-sort=busy]').getAttribute('aria-sort') === 'descending'")
    tab.call("Page.reload")
    tab.until("a reload keeps both", f"document.querySelector('#filter')?.value === 'alert(1)' && {names}.length === 1")


def check_keyboard(tab):
    """From the filter on by the key Tab alone: to the row, into its story, and out again."""
    tab.evaluate("document.querySelector('#filter').focus()")
    for _ in range(20):
        tab.key("Tab")
        if tab.evaluate("!!document.activeElement.closest('#tasks')"):
            break
    else:
        raise AssertionError("no row is reached")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is not visible"
    tab.key("Enter", text="\r")
    tab.until("the story is open", "document.querySelector('#story').open")
    tab.until("it has fields", "document.querySelectorAll('#fields dd').length >= 12")
    tab.until("it has the name as text", f"document.querySelector('#story-title').textContent === {json.dumps(SCRIPT)}")
    tab.until("its times are drawn", "document.querySelectorAll('#timeline svg rect').length >= 2")
    tab.until("each of its polls is drawn", "document.querySelectorAll('#timeline .poll').length === 2")
    tab.until("what happened is told", "[...document.querySelectorAll('#events li')].some(item => item.textContent.includes('and completed'))")
    assert tab.evaluate("!!new URLSearchParams(location.search).get('task')"), "the task is in the address"
    assert tab.evaluate("document.querySelector('#story').contains(document.activeElement)"), "the focus is in the story"
    assert tab.evaluate("document.querySelector('#cancel').hidden"), "there is nothing to cancel"
    tab.key("Escape")
    tab.until("the story is closed", "!document.querySelector('#story').open")
    tab.until("the address forgets it", "!new URLSearchParams(location.search).get('task')")
    tab.until("the focus is back", "!!document.activeElement.closest('#tasks')")


def check_screens(tab, address, pictures):
    tab.open(address)
    tab.until("tasks are listed", "document.querySelectorAll('#tasks tr').length > 3")
    tab.until("charts are drawn", f"{LINES} > 20")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    axis = "(() => { const c = document.querySelector('#charts canvas'); return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join() })()"
    light_chart = tab.evaluate(axis)
    tab.theme("dark")
    assert tab.evaluate(ground) != light, "dark is not light"
    tab.until("the charts are drawn anew", f"document.querySelectorAll('#charts canvas').length === 5 && {LINES} > 20")
    assert tab.evaluate(axis) != light_chart
    if pictures:
        tab.picture(pictures / "dark.png")
    for width in (360, 768):
        tab.size(width)
        tab.until(f"{width} pixels are enough", f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
        tab.until("the charts fit", f"[...document.querySelectorAll('#charts figure')].every(figure => figure.getBoundingClientRect().right <= {width} && figure.querySelector('.u-wrap').getBoundingClientRect().right <= {width})")
        if pictures:
            tab.picture(pictures / f"width-{width}.png")
    tab.size(360)
    tab.evaluate("document.querySelector('#tasks a').click()")
    tab.until("the story fits, too", "document.querySelector('#story').open && document.querySelectorAll('#fields dd').length >= 12 && document.querySelector('#story').getBoundingClientRect().right <= 360 && document.documentElement.scrollWidth <= 360")
    if pictures:
        tab.picture(pictures / "story-360.png")
    tab.size(1280)
    tab.theme("light")


def check_cancel(tab, address, may):
    tab.open(f"{address}?filter=%22never+ends%22")
    tab.until("the task is listed", "document.querySelectorAll('#tasks tr').length === 1")
    tab.evaluate("document.querySelector('#tasks a').click()")
    tab.until("its story is there", "document.querySelectorAll('#fields dd').length >= 12")
    if not may:
        assert tab.evaluate("document.querySelector('#cancel').hidden"), "nobody may cancel here"
        return
    assert not tab.evaluate("document.querySelector('#cancel').hidden"), "it can be cancelled"
    tab.evaluate("document.querySelector('#cancel').click()")
    tab.until("it was cancelled by its id", "[...document.querySelectorAll('#fields dd')].some(field => field.textContent === 'cancelled, by id')")
    tab.until("the button is gone", "document.querySelector('#cancel').hidden")
    tab.until("the list knows", "document.querySelector('#tasks .status').textContent === 'cancelled (id)'")


ROWS = "[...document.querySelectorAll('#queue-rows tr')].map(row => [...row.children].map(cell => cell.textContent))"
DEAD = "[...document.querySelectorAll('#dead-jobs li')]"
DEAD_IS_OPEN = "document.querySelector('#dead').open"
NUMBER_OF_DEAD = "document.querySelector('#queue-rows .dead button')"


def check_no_queues(tab, address):
    tab.open(address)
    tab.until("an event was drawn", "document.querySelectorAll('#numbers dd').length >= 8")
    assert tab.evaluate("document.querySelector('#queues').hidden"), "there are no queues"


def check_broken_queues(tab, address):
    tab.open(address)
    tab.until("it is said that there is no telling", "!document.querySelector('#queues').hidden && !document.querySelector('#queues-lost').hidden")
    assert tab.evaluate("document.querySelector('#queues-there').hidden"), "there is no empty table"
    tab.until("tasks are listed all the same", "document.querySelectorAll('#tasks tr').length > 3")


def check_queues(tab, address, queue):
    """The queues as text, and the dead jobs of one by the keyboard alone."""
    tab.open(address)
    wanted = [[queue, "1,234", "2", "3", "4", "2", "5", "6", "1.5 s"], [SCRIPT, "0", "0", "0", "0", "0", "0", "0", "–"]]
    tab.until("the queues are told", f"JSON.stringify({ROWS}) === JSON.stringify({json.dumps(wanted)})")
    assert not tab.evaluate("document.querySelector('#queues').hidden"), "there are queues"
    assert tab.evaluate("document.querySelector('#queues-lost').hidden"), "they could be read"
    assert tab.evaluate("document.querySelectorAll('#queues script').length") == 0
    tab.evaluate("document.querySelector('#queues-there').focus()")
    tab.key("Tab")
    assert tab.evaluate(f"document.activeElement === {NUMBER_OF_DEAD}"), "the number of dead jobs is next"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is not visible"
    label = tab.evaluate("document.activeElement.ariaLabel")
    assert label == f"2 dead jobs of {queue}", label
    tab.key("Enter", text="\r")
    tab.until("the dead jobs are told", f"{DEAD_IS_OPEN} && {DEAD}.length === 2")
    assert tab.evaluate("document.querySelector('#dead-title').textContent") == f"Dead jobs of {queue}"
    assert tab.evaluate(f"{DEAD}[0].querySelector('.message').textContent") == f"{SCRIPT}\n{queue}"
    told = tab.evaluate(f"{DEAD}.map(item => item.querySelector('b').textContent + ': ' + item.querySelector('.place').textContent)")
    assert told[0].startswith("01J <b>7</b>: died ") and told[0].endswith(" min ago, 5 attempts"), told
    assert told[1] == "01J 8&id=9: 0 attempts", told
    assert tab.evaluate("document.querySelectorAll('#dead script').length") == 0
    # The page has a token here, but for cancelling tasks alone.
    assert tab.evaluate("document.querySelector('meta[name=moirai-token]').content.length") == 32
    assert tab.evaluate("document.querySelectorAll('#dead-jobs button').length") == 0, "nobody may retry here"
    assert tab.evaluate("document.querySelector('#dead').contains(document.activeElement)"), "the focus is in the dialog"
    tab.call("Page.reload")
    tab.until("a reload keeps it", f"document.readyState === 'complete' && {DEAD_IS_OPEN} && {DEAD}.length === 2")
    tab.key("Escape")
    tab.until("it is closed", f"!{DEAD_IS_OPEN}")
    tab.until("the address forgets it", "!new URLSearchParams(location.search).has('dead')")
    tab.until("the queues are there", f"!!{NUMBER_OF_DEAD}")
    tab.evaluate(f"{NUMBER_OF_DEAD}.focus()")
    tab.key("Enter", text="\r")
    tab.until("it is open again", f"{DEAD_IS_OPEN} && {DEAD}.length === 2")
    tab.evaluate("history.back()")
    tab.until("the way back closes it", f"!{DEAD_IS_OPEN}")
    tab.until("the focus is back", f"document.activeElement === {NUMBER_OF_DEAD}")
    tab.evaluate("document.querySelectorAll('#queue-rows .dead button')[1].click()")
    tab.until("a queue may have no dead job", f"{DEAD_IS_OPEN} && document.querySelector('#dead-found').textContent === 'No job of this queue is dead.'")
    assert tab.evaluate(f"{DEAD}.length") == 0


def check_retry(tab, address, pictures):
    tab.size(1280)
    tab.open(f"{address}?filter=%22never+ends%22")
    tab.until("a task is listed", "document.querySelectorAll('#tasks tr').length === 1")
    tab.until("the queues are there", f"!!{NUMBER_OF_DEAD}")
    if pictures:
        tab.evaluate("document.querySelector('#queues').scrollIntoView()")
        tab.picture(pictures / "queues.png")
    tab.evaluate(f"{NUMBER_OF_DEAD}.click()")
    tab.until("jobs can be retried", f"{DEAD_IS_OPEN} && document.querySelectorAll('#dead-jobs button:not([hidden])').length === 2")
    for theme, width in (("light", 1280), ("dark", 360)):
        tab.theme(theme)
        tab.size(width)
        tab.until(f"it fits in {width} pixels", f"innerWidth === {width} && document.querySelector('#dead').getBoundingClientRect().right <= {width} && document.documentElement.scrollWidth <= {width}")
        tab.until("each line fits, too", f"{DEAD}.every(item => item.scrollWidth <= item.clientWidth)")
        if pictures:
            tab.picture(pictures / f"dead-{width}.png")
    tab.evaluate(f"{DEAD}[0].querySelector('button').focus()")
    assert tab.evaluate("document.activeElement.ariaLabel") == "Retry job 01J <b>7</b>"
    tab.key("Enter", text="\r")
    tab.until("it is said that the job is retried", "document.querySelector('#dead-message').textContent === 'Job 01J <b>7</b> will be retried.'")
    tab.until("one job is left", f"{DEAD}.length === 1 && {DEAD}[0].textContent.includes('on fire')")
    tab.until("the focus is at the next button", "document.activeElement.ariaLabel === 'Retry job 01J 8&id=9'")
    tab.key("Escape")
    tab.until("it is closed", f"!{DEAD_IS_OPEN}")
    tab.until("the number of dead jobs is told", f"{NUMBER_OF_DEAD}.textContent === '1'")
    tab.until("the filter has stayed", "document.querySelectorAll('#tasks tr').length === 1")
    # Tasks may not be cancelled here.
    tab.evaluate("document.querySelector('#tasks a').click()")
    tab.until("the task's story is there", "document.querySelectorAll('#fields dd').length >= 12")
    assert tab.evaluate("document.querySelector('#cancel').hidden"), "nobody may cancel here"


@contextlib.contextmanager
def opened_tab():
    """A tab of a browser that ends with it, and with all its processes."""
    # A process of the browser that is just ending may still write there. What is left then is no failure of the page.
    with tempfile.TemporaryDirectory(prefix="moirai-browser-", ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            port_file, deadline = pathlib.Path(profile, "DevToolsActivePort"), time.monotonic() + LONG
            while not (port_file.exists() and port_file.read_text().count("\n")):
                assert browser.poll() is None and time.monotonic() < deadline, "the browser does not start"
                time.sleep(0.05)
            port = port_file.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=LONG) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            yield Tab(pages[0]["webSocketDebuggerUrl"])
        finally:
            # Its processes for pages, network and storage are of the same group.
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()


def main():
    if BROWSER is None:
        sys.exit(77)
    plain, with_cancel, with_queues, with_retry, with_broken, queue = sys.argv[1:7]
    queue = json.loads(queue)
    pictures = pathlib.Path(sys.argv[7]) if len(sys.argv) > 7 else None
    with opened_tab() as tab:
        check_page(tab, plain, pictures)
        check_names(tab)
        check_keyboard(tab)
        check_screens(tab, plain, pictures)
        check_cancel(tab, plain, False)
        check_cancel(tab, with_cancel, True)
        check_no_queues(tab, with_cancel)
        check_broken_queues(tab, with_broken)
        check_queues(tab, with_queues, queue)
        check_retry(tab, with_retry, pictures)
        assert not tab.errors, tab.errors
    print("the page is as it should be")


if __name__ == "__main__":
    main()
