# SPDX-License-Identifier: BSD-3-Clause
"""Messages in the rings of a channel that has packets (docs/ABI.md, section 5)."""
import struct

from guest_end import Channel
from memory import fence


def takes(data: bytes) -> int:
    """How much of a ring a message takes."""
    return (4 + len(data) + 3) & ~3


def put_some(channel: Channel, data: bytes) -> bool:
    """Write a message if there is room for it; whether there was."""
    head, tail = channel.tx.cursor.value, channel.tx.peer_cursor.value
    if channel.size - (head - tail) < takes(data):
        return False
    publish(channel, struct.pack("<I", len(data)) + data + bytes(-len(data) % 4))
    return True


def publish(channel: Channel, raw: bytes) -> None:
    """Put these bytes into the ring, whatever they are."""
    head = channel.tx.cursor.value
    channel._copy(1, head, raw)
    channel.tx.cursor.value = head + len(raw)
    fence()
    if head <= channel.tx.peer_event.value < head + len(raw):
        channel.ring()


def put(channel: Channel, *messages: bytes) -> None:
    """Write messages; wait for room."""
    for data in messages:
        while not put_some(channel, data):
            want = channel.tx.cursor.value + takes(data) - channel.size - 1
            channel.tx.event.value = want
            fence()
            while channel.tx.peer_cursor.value <= want:
                channel.driver.rung.clear()
                channel.driver.wait_event()


def take_some(channel: Channel) -> bytes | None:
    """Read the message that is there; None: there is none."""
    head, tail = channel.rx.peer_cursor.value, channel.rx.cursor.value
    if head == tail:
        return None
    length = struct.unpack("<I", channel._copy(2, tail, 4))[0]
    assert (head - tail) % 4 == 0 and 4 + length <= head - tail, (tail, head, length)
    data = channel._copy(2, tail + 4, length)
    channel.rx.cursor.value = tail + takes(data)
    fence()
    if tail <= channel.rx.peer_event.value < channel.rx.cursor.value:
        channel.ring()
    return data


def take(channel: Channel, n: int = 1) -> list[bytes]:
    """Read so many messages; wait for them."""
    found = []
    while len(found) < n:
        data = take_some(channel)
        if data is None:
            channel.sleep_read()
        else:
            found.append(data)
    return found


def is_at_end(channel: Channel) -> bool:
    """Whether nothing is there and the host's writer has closed."""
    phase = channel.rx.peer_phase.value
    return phase > 0 and phase % 2 == 0 and channel.rx.peer_cursor.value == channel.rx.cursor.value


def await_end(channel: Channel) -> None:
    """Wait until the host's writer has closed; no message comes before that."""
    while True:
        phase = channel.rx.peer_phase.value
        if is_at_end(channel):
            return
        channel.sleep_read(phase=phase)
        assert channel.rx.peer_cursor.value == channel.rx.cursor.value, take_some(channel)
