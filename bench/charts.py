"""Bar charts as SVG that can be read on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.results import Spread
from bench.text import number

WIDTH: Final = 760
LABEL_WIDTH: Final = 220
VALUE_WIDTH: Final = 120
BAR: Final = 18
STEP: Final = 28
TOP: Final = 46

_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #424a53; }
  .title { font-weight: 600; font-size: 14px; }
  .ours { fill: #0969da; } .peer { fill: #8c959f; } .spread { stroke: #424a53; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #c9d1d9; } .ours { fill: #4493f8; } .peer { fill: #6e7681; } .spread { stroke: #c9d1d9; }
  }
"""


@dataclass(frozen=True)
class Bar:
    label: str
    spread: Spread
    ours: bool = False


@dataclass(frozen=True)
class Scale:
    """Values to widths; on a logarithmic one the shortest bar still has a tenth of the width."""

    values: Sequence[float]
    logarithmic: bool = False

    def width(self, value: float) -> float:
        full = WIDTH - LABEL_WIDTH - VALUE_WIDTH
        largest = max(self.values, default=0)
        if value <= 0 or largest <= 0:
            return 0.0
        if not self.logarithmic:
            return full * value / largest
        smallest = min(v for v in self.values if v > 0)
        span = math.log(largest / smallest) or 1.0
        return full * max(0.0, 0.1 + 0.9 * math.log(value / smallest) / span)


def bar_chart(title: str, unit: str, bars: Sequence[Bar], *, logarithmic: bool = False) -> str:
    """An SVG document: a bar per median, a line from the lowest to the highest sample."""
    scale = Scale([v for bar in bars for v in (bar.spread.low, bar.spread.high)], logarithmic)
    height = TOP + STEP * len(bars) + 6
    heading = f"{title} (logarithmic)" if logarithmic else title
    parts = [_bar(bar, TOP + STEP * place, scale, unit) for place, bar in enumerate(bars)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<text class="title" x="0" y="20">{escape(heading)}</text>\n' + "".join(parts) + "</svg>\n"
    )


def _bar(bar: Bar, y: int, scale: Scale, unit: str) -> str:
    middle = y + BAR / 2
    width, low, high = (scale.width(v) for v in (bar.spread.median, bar.spread.low, bar.spread.high))
    value = f"{number(bar.spread.median)} {unit}".strip()
    end = LABEL_WIDTH + max(width, high) + 8
    return (
        f'<text x="{LABEL_WIDTH - 10}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(bar.label)}</text>\n'
        f'<rect class="{"ours" if bar.ours else "peer"}" x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" '
        f'height="{BAR}" rx="2"/>\n'
        f'<line class="spread" x1="{LABEL_WIDTH + low:.1f}" x2="{LABEL_WIDTH + high:.1f}" '
        f'y1="{middle:.1f}" y2="{middle:.1f}"/>\n'
        f'<text x="{end:.1f}" y="{middle + 4.5:.1f}">{escape(value)}</text>\n'
    )
