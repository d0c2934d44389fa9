"""The benchmark: what it counts and what it writes. Short runs check counts, never times."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import redis

from bench import capacity, charts, messages, pages, text
from bench.arrivals import Arrivals
from bench.client import Inflater, text_frame
from bench.load import END, expected
from bench.results import Result, Spread
from bench.rows import ROWS
from jobcast.envelope import cut
from jobcast.ledger.memory import MemoryLedger
from jobcast.topics import job_topic
from tests.stack import ROOT, Stack

EPOCH = "0123456789ab"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey and the real web process; nobody works here."""
    stack = Stack(tmp_path_factory.mktemp("bench"))
    stack.valkey.start()
    try:
        stack.start_web()
        yield stack
    finally:
        stack.stop()


@pytest.mark.parametrize("envelope", ["", "--stock", "--ledger"])
def test_every_client_gets_every_message_of_its_room_once_and_in_order(web: Stack, envelope: str):
    """The emitter and the load client against the real web process, with each kind of envelope."""
    clients, rooms, count = 12, 3, 600
    figures = deliver(web, clients, rooms, count, envelope)
    assert figures["received"] == figures["expected"] == clients * count // rooms
    assert (figures["lost"], figures["duplicates"], figures["regressions"]) == (0, 0, 0)


def deliver(web: Stack, clients: int, rooms: int, count: int, envelope: str) -> dict[str, int]:
    """What the load client says at the end."""
    with redis.Redis.from_url(web.valkey.url) as client:
        client.flushall()  # a room that is known greets its subscribers with its state
    sizes = ["--rooms", str(rooms), "--count", str(count)]
    load = helper("bench.load", "--url", web.url, "--clients", str(clients), *sizes, "--timeout", "20")
    with load as process:
        ready = process.stdout.readline()
        assert ready, "the load client ended"
        options = [envelope] if envelope else []
        with helper("bench.publish", "--redis", web.valkey.url, *sizes, *options) as publisher:
            assert publisher.wait(20) == 0
        return json.loads(process.stdout.readline())


def helper(module: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_our_emitter_writes_what_the_ledger_would():
    """Same keys in the same order, so that the listener takes the same way."""
    ledger = MemoryLedger()
    update = messages.update(3, 1)
    ledger.append_job(update, begin=True)
    stored = json.loads(ledger.read(job_topic("j3")).events[-1].payload)
    written = cut(messages.own(4, merge=False)(3, 1))
    assert written is not None
    assert list(json.loads(written.payload)) == list(stored)
    assert (written.room, written.sequence, written.merge) == ("job:j3", 1, False)


def test_the_end_mark_is_once_in_each_frame_as_the_load_client_reads_it():
    """It counts this byte to know when everything has arrived; a length that contains it would deceive it."""
    for sequence in (1, 9, 10, 99, 100, 40_000, 1_000_000):
        payload = messages.Payloads().text(14_999, sequence)
        assert text_frame(f'42/jobs,["job:status-changed",{payload}]').count(END) == 1


def frames(*sequences: int, sent: int = 1_000) -> bytes:
    """Frames as a server sends them."""
    payload = '{{"sequence":{0},"epoch":"{1}","jobId":"j0","details":{{"t":{2}}},"timestamp":"…"}}'
    texts = [f'42/jobs,["job:status-changed",{payload.format(n, EPOCH, sent)}]' for n in sequences]
    return b"".join(text_frame(text) for text in texts)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_messages_are_counted_however_the_stream_is_cut(size: int):
    """TCP knows no frames; a number must not be cut short either."""
    stream = frames(1, 2, 3, sent=123_456)
    tally = Arrivals.of((0, 200_000, stream[at : at + size]) for at in range(0, len(stream), size))
    figures = tally.figures([3])
    assert (figures["received"], figures["lost"]) == (3, 0)
    assert set(tally.latencies) == {200_000 - 123_456}


def test_what_is_missing_doubled_or_late_is_told_apart():
    """A server that loses one and repeats one has not delivered everything."""
    figures = Arrivals.of([(0, 2_000, frames(1, 2, 2, 5, 4)), (1, 2_000, frames(1))]).figures([5, 1, 2])
    assert (figures["lost"], figures["duplicates"], figures["regressions"]) == (1 + 2, 1, 1)


def test_a_compressed_frame_is_read_like_a_plain_one():
    """Stock servers compress when a client offers it."""
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = b"\x81\x012"
    for text_ in ("2", "x" * 300):
        packed = (squeeze.compress(text_.encode()) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
        stream += bytes((0xC1, len(packed))) + packed
    inflater = Inflater()
    plain = b"".join(inflater.feed(stream[at : at + 1]) for at in range(len(stream)))
    assert plain == text_frame("2") * 2 + text_frame("x" * 300)


def test_messages_are_spread_round_robin():
    """Seven messages for three rooms: three, two, two."""
    assert expected(clients=5, rooms=3, count=7) == [3, 2, 2, 3, 2]


def result(**samples: list[dict[str, float]]) -> Result:
    return Result("fan-out-500", samples, {}, "2026-01-01")


FAN_OUT = next(row for row in ROWS if row.name == "fan-out-500")


def test_a_target_is_judged_by_the_median_of_the_pairs():
    """One lucky pair does not reach it."""
    target = FAN_OUT.targets[0]
    node = [{"rate": 100.0}, {"rate": 100.0}, {"rate": 100.0}]
    some = result(jobcast=[{"rate": 199.0}, {"rate": 900.0}, {"rate": 150.0}], node=node)
    most = result(jobcast=[{"rate": 201.0}, {"rate": 900.0}, {"rate": 150.0}], node=node)
    assert (some.reached(target), most.reached(target)) == (False, True)
    assert some.ratio(target) == Spread(1.99, 1.5, 9.0)


def test_a_lower_figure_can_be_the_better_one():
    """Latency and memory."""
    memory = next(row for row in ROWS if row.name == "memory-4000")
    found = result(jobcast=[{"bytes_per_client": 4_000.0}], node=[{"bytes_per_client": 17_000.0}])
    assert [found.reached(target) for target in memory.targets] == [True, True]


def test_a_row_that_was_not_measured_is_neither_reached_nor_missed():
    """And its line says so."""
    for found in (result(), result(jobcast=[{"rate": 5.0}])):
        assert pages.target_line(FAN_OUT, FAN_OUT.targets[0], found)[-1] == "not measured"


def test_an_entrant_that_lost_messages_is_shown_with_what_it_lost():
    """It has no figure, and the page says why."""
    found = replace(result(jobcast=[{"rate": 5.0}]), failures={"threading": ["{'lost': 3} of 4"]})
    page = pages.rows({"fan-out-500": found})
    assert "| Flask-SocketIO, threading | – | – | failed 1 ×: {'lost': 3} of 4 |" in page


def test_a_chart_is_well_formed_and_keeps_its_bars_inside():
    """Also for zero, one value, and names with markup in them."""
    for values in ([1.0, 1_000_000.0], [5.0, 5.0], [0.0, 3.0]):
        for logarithmic in (False, True):
            bars = [charts.Bar("<a> & b", Spread(value, value, value), ours=True) for value in values]
            drawn = ElementTree.fromstring(charts.bar_chart("a < b", "ms", bars, logarithmic=logarithmic))
            widths = [
                float(found.get("width", "")) for found in drawn.iter("{http://www.w3.org/2000/svg}rect")
            ]
            assert all(0 <= width <= charts.WIDTH for width in widths)
            assert len(widths) == 2


def test_a_table_keeps_its_columns_whatever_a_cell_holds():
    """A pipe in an error message is no border."""
    assert text.table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.421, "0.42"), (4.2, "4.20"), (42.13, "42.1"), (999.6, "1,000"), (-5, "-5.00")],
)
def test_numbers_have_about_three_digits(value: float, shown: str):
    """No more than was measured."""
    assert text.number(value) == shown


def test_only_what_is_between_the_marks_is_replaced():
    """The rest of a page is somebody's text; a page without the place is an error."""
    page = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb"
    once = text.fill(page, "x", "new\n")
    assert once == text.fill(once, "x", "new") == page.replace("old", "new")
    with pytest.raises(text.NoSuchPlace):
        text.fill(page, "y", "new")


FIGURES = capacity.Figures(
    empty=2**27, per_subscriber=2_000, fan_out=400_000, per_job=50_000, connects=2_000,
    elsewhere=5e-6, store=5e-5, envelope=400,
)  # fmt: skip


def test_capacity_follows_its_formulae():
    """A million subscribers: 100,000 messages a second."""
    needs = FIGURES.needs(1_000_000)
    assert (needs.messages, needs.by_memory, needs.by_delivery, needs.by_return) == (100_000, 1, 4, 9)
    assert (needs.processes, needs.machines, needs.stores) == (9, 2, 10)
    assert (needs.one_channel, needs.channel_per_topic) == (9 * 4e7, 4e7)
    assert FIGURES.one_room(1_000_000) == 5


def test_what_gives_in_first_is_named_first():
    """With these figures it is storing, then hearing what is for others."""
    found = [what for what, _ in FIGURES.limits()]
    assert found[0].startswith("storing")
    assert found.index("memory, per web process") > 1


def test_the_committed_pages_and_charts_say_what_the_committed_results_say():
    """Nobody typed a figure, and nobody forgot to write them anew."""
    wanted = pages.contents()
    assert {path: path.read_text() for path in wanted} == wanted
