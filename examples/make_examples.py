"""Makes everything in this folder: ``python examples/make_examples.py``. The same every time.

Nothing but the standard library is needed, and nothing here is about a real company.
"""

from __future__ import annotations

import csv
import math
import random
import struct
import zlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
SEED: Final = 20261201

# --- The content calendar, in the columns of Metricool's bulk import.

CALENDAR_COLUMNS: Final = (
    "Text,Date,Time,Draft,Facebook,Twitter/X,LinkedIn,GBP,Instagram,Pinterest,TikTok,Youtube,Threads,Bluesky,"
    + ",".join(f"Picture Url {number}" for number in range(1, 11))
    + ","
    + ",".join(f"Alt text picture {number}" for number in range(1, 11))
    + ",Document title,Shortener,Video Thumbnail Url,Video Cover Frame,Instagram Post Type,"
    "Instagram Show Reel On Feed,Facebook Post Type,Facebook Title,First Comment Text,LinkedIn Type,"
    "LinkedIn Show link preview,LinkedIn Images as Carousel,Brand name"
).split(",")
NETWORKS: Final = CALENDAR_COLUMNS[4:14]
CALENDAR_POSTS: Final = 72
FIRST_DAY: Final = date(2026, 12, 1)

DRINKS: Final = ("flat white", "cortado", "filter", "cold brew", "espresso", "oat latte", "mocha", "affogato")
BEANS: Final = ("Yirgacheffe", "Huila", "Antigua", "Nyeri", "Sidamo", "Tarrazú")
TEXTS: Final = (
    "Today's bar: {drink}, made with our {bean}. ☕\n\nCome by until four.",
    'Somebody called our {drink} "the best reason to get up". We have nothing to add.',
    "New on the shelf: {bean}. Notes of plum, black tea and a little honey.\n#coffee #newin #{tag}",
    "How we brew {bean} at home: 15 g, 250 g of water, three minutes. Yours, please?",
    "+1 {drink} for everybody who brings their own cup this week.",
    "Behind the counter: Mira on why a {drink} starts with the grinder, not the machine.",
    "= one {drink}, one window seat, no plans.",
    "Roasting {bean} today. The street will know before you do.",
    "Question of the week: {drink} before or after breakfast?",
    "Our winter card: {drink}, cardamom bun, and {bean} to take home.",
    "Opening hours over the holidays: 9 to 4, closed on the 25th. {drink} all the other days.",
    "Thank you for 2026. The last {bean} of the year goes out on Friday.",
)
#: Which networks the posts take turns on, as indices of the network columns.
MIXES: Final = (
    ("Instagram", "Facebook"),
    ("Instagram",),
    ("Facebook", "LinkedIn"),
    ("Instagram", "Facebook", "LinkedIn"),
    ("LinkedIn",),
    ("Instagram", "Facebook"),
)

# --- The pictures.

WIDTH: Final = 640
HEIGHT: Final = 400
SHADES: Final = 12
PICTURES: Final = {
    "bar.png": (18, 0.09),
    "roastery.png": (28, 0.06),
    "beans.png": (24, 0.16),
    "window.png": (205, 0.04),
    "morning.png": (38, 0.05),
    "evening.png": (262, 0.05),
    "winter/snow.png": (196, 0.03),
    "winter/market.png": (348, 0.07),
}
CARDS: Final = {
    "cards/flat-white.svg": ("Flat white", 24),
    "cards/cold-brew.svg": ("Cold brew", 204),
    "cards/winter-card.svg": ("Winter card", 344),
    "cards/hours.svg": ("9 to 4", 44),
}


def rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    """Hue in degrees, the others from 0 to 1."""

    def channel(shift: int) -> int:
        k = (shift + hue / 60) % 6
        return round(255 * (value - value * saturation * max(0.0, min(k, 4 - k, 1.0))))

    return channel(5), channel(3), channel(1)


def hills(frequency: float, generator: random.Random) -> list[list[float]]:
    """For each layer, its height at each column."""
    layers = []
    for layer in range(1, SHADES):
        phase, tilt = generator.uniform(0, 6.3), generator.uniform(0.5, 1.5)
        base = HEIGHT * (0.2 + 0.8 * layer / SHADES)
        wave = [
            math.sin(frequency * x / 4 * tilt + phase) + 0.4 * math.sin(frequency * x + 2 * phase)
            for x in range(WIDTH)
        ]
        layers.append([base + 14 * height for height in wave])
    return layers


def png(hue: float, frequency: float, generator: random.Random) -> bytes:
    """Hills behind hills, as an indexed-colour PNG."""
    layers = hills(frequency, generator)
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)
        rows.extend(sum(1 for layer in layers if layer[x] < y) for x in range(WIDTH))
    palette = b"".join(bytes(rgb(hue + 3 * i, 0.25 + 0.05 * i, 0.97 - 0.06 * i)) for i in range(SHADES))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def svg(title: str, hue: int) -> str:
    """A card with a few words on it."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="640" height="400" viewBox="0 0 640 400">
  <rect width="640" height="400" fill="hsl({hue} 55% 92%)"/>
  <circle cx="320" cy="170" r="92" fill="none" stroke="hsl({hue} 45% 38%)" stroke-width="14"/>
  <path d="M405 130 q64 40 0 80" fill="none" stroke="hsl({hue} 45% 38%)" stroke-width="14"/>
  <text x="320" y="345" font-family="Georgia, serif" font-size="48" text-anchor="middle"
        fill="hsl({hue} 45% 24%)">{title}</text>
</svg>
"""


def write_media(folder: Path) -> None:
    generator = random.Random(SEED)  # noqa: S311
    for name, (hue, frequency) in PICTURES.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png(hue, frequency, generator))
    for name, (title, hue) in CARDS.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(svg(title, hue), encoding="utf-8", newline="\n")


def calendar_rows() -> Iterator[dict[str, str]]:
    """Three posts a day, at changing hours."""
    generator = random.Random(SEED)  # noqa: S311
    pictures = [*PICTURES, *CARDS]
    for number in range(CALENDAR_POSTS):
        bean = generator.choice(BEANS)
        text = TEXTS[number % len(TEXTS)].format(
            drink=generator.choice(DRINKS), bean=bean, tag=bean.lower().replace("ú", "u")
        )
        moment = datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(
            days=number // 3, hours=8 + 4 * (number % 3), minutes=5 * generator.randrange(12)
        )
        chosen = generator.sample(pictures, k=generator.choice((0, 1, 1, 1, 2, 3)))
        yield calendar_row(text, moment, MIXES[number % len(MIXES)], chosen)


def calendar_row(text: str, moment: datetime, mix: tuple[str, ...], pictures: list[str]) -> dict[str, str]:
    row = dict.fromkeys(CALENDAR_COLUMNS, "")
    row |= {network: "TRUE" if network in mix else "FALSE" for network in NETWORKS}
    row |= {f"Picture Url {i}": picture for i, picture in enumerate(pictures, start=1)}
    row |= {f"Alt text picture {i}": alt_text(picture) for i, picture in enumerate(pictures, start=1)}
    return row | {
        "Text": text,
        "Date": f"{moment:%Y-%m-%d}",
        "Time": f"{moment:%H:%M:%S}",
        "Draft": "FALSE",
        "Shortener": "FALSE",
        "Instagram Post Type": "POST" if "Instagram" in mix else "",
        "Facebook Post Type": "POST" if "Facebook" in mix else "",
        "Brand name": "Nordlicht Coffee",
    }


def alt_text(picture: str) -> str:
    return Path(picture).stem.replace("-", " ").capitalize()


def write_calendar(path: Path) -> None:
    """With a byte order mark and CRLF, as a spreadsheet saves it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, CALENDAR_COLUMNS)
        writer.writeheader()
        writer.writerows(calendar_rows())


# --- The metrics export, in the columns of Meta Business Suite's content export for Instagram.

METRICS_HEADER: Final = (
    "Post ID,Account ID,Account username,Account name,Description,Duration (sec),Publish time,Permalink,"
    "Post type,Data comment,Date,Views,Reach,Likes,Shares,Follows,Comments,Saves"
)
METRICS_COLUMNS: Final = METRICS_HEADER.split(",")
ACCOUNT: Final = ("17841400000000001", "nordlicht", "Nordlicht Coffee")
METRICS_POSTS: Final = 360
METRICS_DAYS: Final = 90
FIRST_METRIC_DAY: Final = date(2026, 8, 1)
#: Days before the first one on which posts went out that still have metrics.
DAYS_BEFORE: Final = 30
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
DESCRIPTIONS: Final = (
    "Morning bar", "New beans, new week", "Window seat", "Roast day\nHuila, again", 'The "cortado" question',
    "Cup of the day", "Thank you!", "Rain outside, filter inside",
)  # fmt: skip
#: Post type, part of the permalink, how many seconds it may last, and how far it goes.
TYPES: Final = (("IG image", "p", 0, 1.0), ("IG carousel", "p", 0, 1.4), ("IG reel", "reel", 60, 4.0))


class PastPost(NamedTuple):
    """What all rows of one post say, and how many people it reached on its first day."""

    fields: dict[str, Any]
    born: date
    strength: float


def past_posts(generator: random.Random) -> list[PastPost]:
    return [past_post(number, generator) for number in range(METRICS_POSTS)]


def past_post(number: int, generator: random.Random) -> PastPost:
    kind, part, longest, factor = generator.choice(TYPES)
    born = (
        FIRST_METRIC_DAY - timedelta(days=30) + timedelta(days=number * (METRICS_DAYS + 30) // METRICS_POSTS)
    )
    code = "C" + "".join(generator.choices(ALPHABET, k=10))
    fields = {
        "Post ID": 18_000_000_000_000_000 + generator.randrange(10**14),
        **dict(zip(METRICS_COLUMNS[1:4], ACCOUNT, strict=True)),
        "Description": generator.choice(DESCRIPTIONS),
        "Duration (sec)": generator.randint(6, longest) if longest else 0,
        "Publish time": f"{born:%m/%d/%Y} {generator.randint(7, 20):02}:{generator.randrange(60):02}",
        "Permalink": f"https://www.instagram.com/{part}/{code}/",
        "Post type": kind,
        "Data comment": "",
    }
    return PastPost(fields, born, factor * generator.lognormvariate(6.2, 0.7))


def metrics_rows() -> Iterator[dict[str, Any]]:
    """Newest day first; a post has rows from the day it went out."""
    generator = random.Random(SEED)  # noqa: S311
    posts = past_posts(generator)
    for offset in reversed(range(METRICS_DAYS)):
        day = FIRST_METRIC_DAY + timedelta(days=offset)
        for post in posts:
            if post.born <= day:
                yield post.fields | {"Date": f"{day:%m/%d/%Y}"} | day_of(post, day, generator)


def day_of(post: PastPost, day: date, generator: random.Random) -> dict[str, int]:
    """Attention fades with a half-life of about a day, and never quite ends."""
    age = (day - post.born).days
    reach = round(post.strength * (0.55**age + 0.01) * generator.uniform(0.7, 1.3))
    likes = round(reach * generator.uniform(0.03, 0.09))
    return {
        "Views": round(reach * generator.uniform(1.1, 1.9)),
        "Reach": reach,
        "Likes": likes,
        "Shares": round(likes * generator.uniform(0, 0.12)),
        "Follows": round(reach * generator.uniform(0, 0.004)),
        "Comments": round(likes * generator.uniform(0, 0.1)),
        "Saves": round(likes * generator.uniform(0, 0.15)),
    }


def write_metrics(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, METRICS_COLUMNS)
        writer.writeheader()
        writer.writerows(metrics_rows())


def make(folder: Path) -> None:
    """Write all of it below ``folder``."""
    write_media(folder / "media")
    write_calendar(folder / "content_calendar.csv")
    write_metrics(folder / "metrics_export.csv")


if __name__ == "__main__":
    make(HERE)
