"""stub"""


def spread_text(spread, figure):
    return f"{spread.median:,.1f} ({spread.low:,.1f}–{spread.high:,.1f})"


def write():
    pass
