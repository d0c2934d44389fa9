"""A server without a key and the browser beside it: what pages from elsewhere have it ask is not done."""

from __future__ import annotations

import uuid

import pytest

from jobcast.flask.origins import is_local
from jobcast.models import JobStatusUpdate
from tests.stack import Answer, Stack, http
from tests.wire import Wire, opening

ELSEWHERE = "http://evil.example"
FORM = "multipart/form-data; boundary=X"
PART = '--X\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
CALENDAR = (
    PART % ("brandId", "", "acme")
    + PART % ("userId", "", "ana")
    + PART % ("calendar", '; filename="calendar.csv"', "platform,text\nlocal,hello")
    + "--X--\r\n"
).encode()


def publish(stack: Stack, **headers: str) -> Answer:
    """What a form with a file does, which no browser asks about first."""
    sent = {"Content-Type": FORM} | headers
    return http("POST", f"{stack.url}/api/jobs/publish", CALENDAR, sent)


@pytest.fixture
def job_id(stack) -> str:
    job_id = uuid.uuid4().hex
    stack.ledger.append_job(JobStatusUpdate(job_id=job_id, status="in_progress"))
    return job_id


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://[", "http://localhost:1"])
def test_a_page_from_elsewhere_changes_nothing(stack, job_id, origin):
    """Neither by a form nor by a request without a body; the answer says which setting would let it."""
    for answer in (publish(stack, Origin=origin), stack.post(f"/api/jobs/{job_id}/cancel", Origin=origin)):
        assert (answer.status, answer.json()["code"]) == (403, "forbidden")
        assert "SOCKETIO_CORS_ORIGIN" in answer.json()["detail"]
    assert '"audit": "refuse"' in stack.logs()


def test_our_own_page_a_listed_one_and_a_program_change_things(stack):
    """A program has no origin."""
    for headers in ({"Origin": stack.url}, {"Origin": "http://localhost:5173"}, {}):
        assert publish(stack, **headers).status == 202


def test_a_name_that_suddenly_leads_here_opens_nothing(stack, job_id):
    """DNS rebinding: the page's own host is this server, as far as the browser knows."""
    host = f"evil.example:{stack.port}"
    for headers in ({}, {"Origin": f"http://{host}"}, {"Origin": f"http://{host}", "X-Forwarded-Host": host}):
        rebound = {"Host": host} | headers
        for path in (f"/api/jobs/{job_id}", "/socket.io/?EIO=4&transport=polling", "/"):
            answer = stack.get(path, **rebound)
            assert answer.status == 403
            assert job_id not in answer.text
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert publish(stack, **rebound).status == 403
    assert stack.get(f"/api/jobs/{job_id}", Host=f"localhost:{stack.port}").status == 200


def test_no_websocket_opens_for_it_either(stack):
    """The front door asks the same question, also of one that claims a forwarded host."""
    origin = f"http://evil.example:{stack.port}"
    host = origin.removeprefix("http://").encode()
    for head in (opening(Origin=origin), opening(Origin=origin, X_Forwarded_Host=host.decode())):
        client = Wire(stack.port)
        client.tcp.sendall(head.replace(b"Host: 127.0.0.1", b"Host: " + host, 1))
        assert client.head().startswith("HTTP/1.1 403 ")
        client.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "a.localhost:1", "127.0.0.2", "[::1]:5000"])
def test_names_of_this_machine(host):
    """A browser looks none of them up elsewhere."""
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["", None, "localhost.evil.example", "127.0.0.1.evil.example", "x@evil.example", "[", "0.0.0.0"]
)
def test_names_that_anybody_can_have(host):
    """Whatever they begin with."""
    assert not is_local(host)
