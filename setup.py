"""The long description: README.md without its picture and its links, which only a checkout can follow."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
PICTURE = re.compile(r"^!\[[^]]*\]\([^)]*\)\n+", re.M)
RELATIVE_LINK = re.compile(r"\[([^]]+)\]\((?!https?://|#)[^)]*\)")

setup(
    long_description=RELATIVE_LINK.sub(r"\1", PICTURE.sub("", README)),
    long_description_content_type="text/markdown",
)
