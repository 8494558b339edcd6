"""Frames: what goes in comes out, whatever the pieces; anything else is refused at once."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.isolation import messages
from mamtra_eval.isolation.messages import ProtocolError, Unpacker, pack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(), VALUES, max_size=4)


def test_a_frame_by_hand() -> None:
    assert pack({"a": "é"}) == b"\x00\x00\x00\x0f" + b'{"a": "\\u00e9"}'


@settings(max_examples=40)
@given(st.lists(MESSAGES, max_size=4), st.data())
def test_messages_arrive_in_pieces_of_any_size(sent: list[dict], data: st.DataObject) -> None:
    stream = b"".join(map(pack, sent))
    unpacker, got = Unpacker(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        unpacker.feed(stream[:size])
        stream = stream[size:]
        while (message := unpacker.take()) is not None:
            got.append(message)
    assert got == sent
    assert unpacker.take() is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused_or_unfinished(data: bytes) -> None:
    unpacker = Unpacker()
    unpacker.feed(data)
    try:
        found = unpacker.take()
    except ProtocolError:
        return
    length = int.from_bytes(data[:4], "big") if len(data) >= 4 else 0
    if found is None:
        assert len(data) < 4 or len(data) < 4 + length <= 4 + messages.LONGEST
    else:
        assert found == json.loads(data[4 : 4 + length])


def test_a_length_beyond_the_bound_is_refused_before_its_bytes_come() -> None:
    unpacker = Unpacker()
    unpacker.feed(struct.pack(">I", messages.LONGEST + 1))
    with pytest.raises(ProtocolError, match=str(messages.LONGEST + 1)):
        unpacker.take()
    unpacker = Unpacker()
    unpacker.feed(struct.pack(">I", messages.LONGEST) + b"{")
    assert unpacker.take() is None


def test_what_is_no_message_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    for message in ({"a": object()}, {(1, 2): 3}):
        with pytest.raises(ProtocolError, match="JSON"):
            pack(message)
    loop: dict[str, object] = {}
    loop["a"] = loop
    with pytest.raises(ProtocolError, match="JSON"):
        pack(loop)
    monkeypatch.setattr(messages, "LONGEST", 10)
    with pytest.raises(ProtocolError, match="the longest has 10"):
        pack({"a": "long"})


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    unpacker = Unpacker()
    unpacker.feed(struct.pack(">I", len(body)) + body)
    with pytest.raises(ProtocolError, match="no JSON"):
        unpacker.take()


def test_fields_are_checked() -> None:
    assert messages.whole({"n": 3}, "n", 0, 3) == 3
    for value in (4, -1, 2.0, True, "3", None):
        with pytest.raises(ProtocolError, match="not from 0 to 3"):
            messages.whole({"n": value}, "n", 0, 3)
    for value in ({"a": "1"}, [1], None):
        with pytest.raises(ProtocolError, match="not a"):
            messages.numbers({"n": value}, "n")
    with pytest.raises(ProtocolError, match="not text"):
        messages.text({}, "t")
