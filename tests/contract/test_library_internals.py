"""What ``web/fanout`` leans on below the public surface of its libraries.

A test that fails here says what an upgrade would break; the pins at the end make sure that one runs into it.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import engineio
import flask_socketio
import hiredis
import pytest
import redis
import socketio
from engineio import packet as engine
from engineio.async_drivers import eventlet as driver
from engineio.base_socket import BaseSocket
from engineio.payload import Payload
from engineio.socket import Socket
from eventlet import greenio, greenpool, hubs, patcher, wsgi
from eventlet.timeout import Timeout
from socketio import packet as sio
from wsproto import frame_protocol
from wsproto.frame_protocol import FrameProtocol, Opcode

from jobcast.embedded import EmbeddedValkey
from tests.tooling.test_requirements import pinned


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def source(function: Any) -> str:
    """Without the spaces, which nobody leans on."""
    return "".join(inspect.getsource(function).split())


@pytest.fixture
def server() -> socketio.Server:
    """A stock server that serves nobody."""
    return socketio.Server(async_mode="threading", async_handlers=False, monitor_clients=False)


# engineio: what WebSocketConnection stands in for, and who is told.


def test_sockets_are_looked_up_by_their_session(server):
    """The front door puts its clients there; elsewhere nobody would find them."""
    sent = []
    server.eio.sockets["sid"] = SimpleNamespace(closed=False, send=sent.append)
    server.eio.send("sid", "text")
    server.eio.send_packet("sid", "packet")
    server._send_eio_packet("sid", "packet")
    assert (sent[0].packet_type, sent[0].data) == (engine.MESSAGE, "text")
    assert sent[1:] == ["packet", "packet"]
    assert "self.sockets" in source(engineio.Server._get_socket)


def test_a_sockets_surface_is_the_one_we_imitate():
    """A new attribute or method would be missing in WebSocketConnection."""
    attributes = set(vars(BaseSocket(SimpleNamespace(create_queue=lambda: None), "sid")))
    assert attributes == {
        "server", "sid", "queue", "last_ping", "connected", "upgrading", "upgraded", "closing", "closed",
        "session",
    }  # fmt: skip
    assert parameters(Socket.close) == ["self", "wait", "abort", "reason"]
    assert parameters(Socket.send) == ["self", "pkt"]
    methods = {name for name in vars(Socket) if not name.startswith("_")}
    assert methods == {
        "poll", "receive", "check_ping_timeout", "send", "handle_get_request", "handle_post_request", "close",
        "schedule_ping",
    }  # fmt: skip


def test_engineio_tells_socketio_through_trigger_event(server):
    """connect, message and disconnect reach the handlers, in the caller's greenlet."""
    told: list[Any] = []
    server.eio.on("message", lambda *arguments: told.append(arguments))
    server.eio.on("disconnect", lambda *arguments: told.append(arguments))
    server.eio._trigger_event("message", "sid", "data", run_async=False)
    server.eio._trigger_event("disconnect", "sid", "reason", run_async=False)
    assert told == [("sid", "data"), ("sid", "reason")]
    assert set(engineio.Server.event_names) == {"connect", "disconnect", "message"}


def test_the_reasons_have_their_names(server):
    """WebSocketConnection hands them on."""
    for name in (
        "SERVER_DISCONNECT",
        "CLIENT_DISCONNECT",
        "PING_TIMEOUT",
        "TRANSPORT_CLOSE",
        "TRANSPORT_ERROR",
    ):
        assert isinstance(getattr(server.eio.reason, name), str)


def test_the_open_packet_is_the_one_we_write():
    """Its keys and how its numbers are made; ours is written in door.py."""
    connect = source(engineio.Server._handle_connect)
    assert "'sid':sid,'upgrades':" in connect
    assert "'pingTimeout':int(self.ping_timeout*1000)" in connect
    assert "'pingInterval':int(self.ping_interval+self.ping_interval_grace_period)*1000" in connect
    assert "'maxPayload':self.max_http_buffer_size" in connect


def test_origins_are_checked_by_one_method(server):
    """The front door asks the same one."""
    server.eio.cors_allowed_origins = lambda origin, environ: origin == "http://a"
    assert server.eio._cors_allowed_origins({"HTTP_ORIGIN": "http://a"}) == ["http://a"]
    assert server.eio._cors_allowed_origins({"HTTP_ORIGIN": "http://b"}) == []


def test_the_refusals_of_the_stock_path_are_the_ones_we_leave_to_it():
    """Transport, version, session, method: what _checked_query does not take has to be refused there."""
    handle = source(engineio.Server.handle_request)
    for check in ("transportnotinself.transports", "query.get('EIO')!=['4']", "sidnotinself.sockets"):
        assert check in handle


def test_packets_decode_as_strict_expects():
    """The errors that strict.py turns into a close, and the types there are."""
    for bad in ("", "abc", "4" + "[" * 100_000, "bA"):
        with pytest.raises((ValueError, IndexError, RecursionError)):
            engine.Packet(encoded_packet=bad)
    assert engine.packet_names.index("NOOP") == engine.NOOP == len(engine.packet_names) - 1
    assert engine.Packet(encoded_packet='42["x"]').data == '2["x"]'
    frameless = engine.Packet(engine.MESSAGE, "x")
    frameless.frame = b"kept"  # jobcast.server.protocol.events keeps the frame there
    assert frameless.encode() == "4x"


def test_a_payload_is_bounded_by_a_class_attribute():
    """strict.py raises it; sixteen packets are too few for a page that opens."""
    assert isinstance(Payload.max_decode_packets, int)
    assert "self.max_decode_packets" in source(Payload.decode)
    assert Payload(encoded_payload="6\x1e6").packets[1].packet_type == engine.NOOP


def test_a_poll_ends_with_none_and_an_upgrade_with_noop():
    """Upgrade drains the queue, ends its poll with None, and marks the socket as upgrading meanwhile."""
    assert "packets==[None]" in source(Socket.poll)
    assert "self.upgradingorself.upgraded" in source(Socket.handle_get_request)
    assert "ifnotself.closingandnotself.closed" in source(Socket._send_ping)


def test_the_websocket_class_is_looked_up_in_async():
    """use_stock_websockets replaces it there, and its handler is a bound method of the socket."""
    assert driver._async["websocket"] is driver.WebSocketWSGI
    upgrade = source(Socket._upgrade_websocket)
    assert "self.server._async['websocket'](self._websocket_handler,self.server)" in upgrade
    assert "data=ws.wait()" in source(Socket._websocket_handler)


# socketio: one method for every event, one for every packet, and a book of rooms.


def test_every_client_event_passes_one_method(server):
    """acks.py wraps it to know whether an ack was asked for."""
    assert parameters(server._handle_event_internal) == [
        "server",
        "sid",
        "eio_sid",
        "data",
        "namespace",
        "id",
    ]
    assert "self._handle_event_internal(self,sid,eio_sid,data,namespace,id)" in source(server._handle_event)


def test_every_message_passes_one_method(server):
    """strict.py wraps it; it is registered as engineio's message handler, and can be replaced there."""
    assert parameters(server._handle_eio_message) == ["eio_sid", "data"]
    assert server.eio.handlers["message"] == server._handle_eio_message
    assert server._binary_packet == {}
    handle = source(server._handle_eio_message)
    assert "self.packet_class(encoded_packet=data)" in handle
    assert "pkt.add_attachment(data)" in handle
    assert "raiseValueError('Unexpectedbinarypacket')" in handle


def test_the_packet_class_is_the_serializer():
    """StrictPacket comes in that way."""

    class Mine(sio.Packet):  # type: ignore[misc]
        pass

    made = socketio.Server(async_mode="threading", serializer=Mine)
    assert made.packet_class is Mine
    assert parameters(Mine.decode) == ["self", "encoded_packet"]
    assert "self.attachment_count=self.decode(encoded_packet)" in source(sio.Packet.__init__)
    assert "ifencoded_packet:" in source(sio.Packet.__init__)  # an empty one is not decoded at all


def test_environs_are_kept_in_one_dictionary(server):
    """LazyEnvirons takes its place, and is read by index and by get."""
    assert server.environ == {}
    server._handle_eio_connect("eio", "environ")
    assert server.environ["eio"] == "environ"
    assert "self.environ[eio_sid]" in source(server._handle_connect)
    assert "self.environ.get(eio_sid)" in source(server.get_environ)
    assert "get_environ(sid" in source(flask_socketio.SocketIO._handle_event)


def test_a_manager_listens_and_publishes_by_two_methods():
    """FanoutManager is those two; and its emits pass _handle_emit."""
    manager = socketio.PubSubManager
    assert parameters(manager._publish) == ["self", "data"]
    assert parameters(manager._listen) == ["self"]
    assert "formessageinself._listen()" in source(manager._thread)
    assert "self._handle_emit(" in source(manager._thread)
    assert "self._handle_emit(message)" in source(manager.emit)
    assert parameters(manager._handle_emit) == ["self", "message"]


def test_the_book_of_rooms_is_written_by_the_basic_methods():
    """Rooms replaces three of them, and looks into two indexes."""
    manager = socketio.Manager()
    assert (manager.rooms, manager.callbacks, manager.pending_connect, manager.pending_disconnect) == (
        {},
    ) * 4
    assert parameters(manager.basic_enter_room) == ["sid", "namespace", "room", "eio_sid"]
    assert parameters(manager.basic_leave_room) == ["sid", "namespace", "room"]
    assert parameters(manager.basic_disconnect) == ["sid", "namespace", "kwargs"]
    assert parameters(manager.get_participants) == ["namespace", "room"]


# eventlet: the hub, its sockets and its server.


def test_eventlets_server_takes_connections_from_accept_alone():
    """Acceptor and WsgiListener stand in for the listening socket."""
    serve = source(wsgi.server)
    assert "client_socket,client_addr=sock.accept()" in serve
    assert "client_socket.settimeout(serv.socket_timeout)" in serve
    for used in re.findall(r"[(\s=]sock\.(\w+)", inspect.getsource(wsgi.server)):
        assert used in ("accept", "getsockname", "close"), used


def test_the_hub_takes_listeners_for_descriptors():
    """ReadWaiter registers one, once, and removes it; timers are its own as well."""
    hub = hubs.get_hub()
    assert parameters(hub.add) == ["evtype", "fileno", "cb", "tb", "mac"]
    assert parameters(hub.remove) == ["listener"]
    assert parameters(hub.schedule_call_global)[:2] == ["seconds", "cb"]
    assert hub.READ == "read"
    assert callable(hubs.notify_opened)


def test_a_green_socket_wraps_one_that_is_handed_to_it():
    """With the plain socket in ``fd``; the door accepts from that one and hands on wrapped ones."""
    plain, other = patcher.original("socket").socketpair()
    try:
        green = greenio.GreenSocket(plain)
        assert green.fd is plain
        assert green.fileno() == plain.fileno()
    finally:
        plain.close()
        other.close()


def test_originals_can_be_had_under_monkey_patching():
    """The poller's epoll must not be a green one."""
    assert patcher.original("select").epoll
    assert not issubclass(patcher.original("socket").socket, greenio.GreenSocket)


def test_a_time_out_is_no_exception():
    """build.py names it beside Exception, or a failed trial would end the process."""
    assert issubclass(Timeout, BaseException)
    assert not issubclass(Timeout, Exception)


def test_a_pool_says_how_many_are_free():
    """Scheduler begins no more than that, so that it never waits itself."""
    assert greenpool.GreenPool(3).free() == 3


def test_a_request_knows_its_tcp_socket():
    """websocket.py takes it out of the environ to part with clients that do not read."""
    assert callable(wsgi.Input.get_socket)
    assert "env['wsgi.input']=env['eventlet.input']=" in source(wsgi.HttpProtocol.get_environ)


# wsproto, hiredis and redis-py.


def test_wsproto_tells_when_nothing_is_half_read():
    """frames.py gives up its parser then; a wrong answer would lose what was begun."""
    protocol = FrameProtocol(client=False, extensions=[])
    decoder, message = protocol._frame_decoder, protocol._message_decoder

    def is_clean() -> bool:
        return not len(decoder.buffer) and decoder.header is None and message.opcode is None

    states = []
    for byte in b"\x01\x81\0\0\0\0a\x80\x80\0\0\0\0":
        protocol.receive_bytes(bytes([byte]))
        list(protocol.received_frames())
        states.append(is_clean())
    assert states == [False] * 12 + [True]


def test_wsproto_says_what_was_wrong():
    """ParseFailed has the code to close with; frames have what Inbound reads."""
    assert frame_protocol.ParseFailed("x").code == 1002
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(b"\x88\x82\0\0\0\0\x03\xe8")
    (found,) = protocol.received_frames()
    assert (found.opcode, found.payload, found.message_finished) == (Opcode.CLOSE, (1000, ""), True)


def test_redis_py_keeps_its_socket_where_we_read_it(valkey: EmbeddedValkey):
    """The listener reads from it by itself; commands go through the connection."""
    client = redis.Redis.from_url(valkey.url)
    connection: Any = client.connection_pool.make_connection()
    try:
        connection.connect()
        assert connection._sock.fileno() > 0
        connection.send_command("PING", check_health=False)
        assert connection._sock.recv(100) in (b"+PONG\r\n", b"$4\r\nPONG\r\n")
    finally:
        connection.disconnect()
        client.close()


def test_hiredis_says_false_when_there_is_no_whole_reply():
    """And gives bytes, and errors as values."""
    reader = hiredis.Reader()
    reader.feed(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n")
    assert reader.gets() is False
    reader.feed(b"$1\r\nm\r\n-ERR x\r\n")
    assert reader.gets() == [b"message", b"c", b"m"]
    assert isinstance(reader.gets(), Exception)


#: Libraries of which private parts are used.
USED_PRIVATELY = ("eventlet", "python-socketio", "python-engineio", "flask-socketio", "wsproto", "redis")


def test_an_upgrade_runs_into_these_tests():
    """This deployment pins to the patch what they are about, and runs them with that."""
    pins = pinned("requirements.txt")
    assert {name: version(name) for name in USED_PRIVATELY} == {name: pins[name] for name in USED_PRIVATELY}
