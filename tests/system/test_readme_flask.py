"""The README's lines for a Flask application and for a page without a build step, as they stand there."""

from __future__ import annotations

import re
import sys

from playwright.sync_api import sync_playwright

from jobcast.models import JobStatusUpdate
from scripts.find_browser import find_browser
from tests.stack import ROOT, Stack, wait_for

SECTION = (ROOT / "README.md").read_text().partition("## In an existing Flask app")[2].partition("\n## ")[0]
MORE = """
@app.get("/login")
def login():
    session["user"] = "ana"
    return PAGE
"""


def test_the_readmes_lines_for_flask_move_a_bar_in_a_page_without_a_build_step(tmp_path):
    """By the application's own session; the bar ends at 100."""
    app, page = (re.findall(f"```{kind}\n(.*?)```", SECTION, re.S)[0] for kind in ("python", "html"))
    (tmp_path / "shop.py").write_text(f"{app}\nPAGE = {page!r}\n{MORE}")
    stack = Stack(tmp_path, SECRET_KEY="only for tests")
    try:
        stack.valkey.start()
        update = JobStatusUpdate(job_id="job-1", status="in_progress", progress=10)
        stack.ledger.append_job(update, meta={"ownerId": "ana"})
        flask = [sys.executable, "-m", "flask", "--app", str(tmp_path / "shop.py"), "run"]
        stack.start_web(command=[*flask, "--port", str(stack.port)], ready="/jobcast/readyz")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            tab = browser.new_page()
            tab.goto(f"{stack.url}/login")
            wait_for(lambda: tab.evaluate("bar.value") == 10, what="the bar as it is")
            stack.ledger.append_job(JobStatusUpdate(job_id="job-1", status="completed", progress=100))
            wait_for(lambda: tab.evaluate("bar.value") == 100, 4, what="a push")
            browser.close()
    finally:
        stack.stop()
