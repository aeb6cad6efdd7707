#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Send a file to a guest and print what the guest answers: send_file.py GUEST/CHANNEL FILE

It needs no rights but those of the group okl4fs, and waits until the guest has opened the channel. In the
guest, for instance: exec 3<>/okl4/CHANNEL; cat <&3 >copy; sha256sum copy >&3
"""
import socket
import sys

import okl4fs


def wait_until_attached(client: okl4fs.Client, guest: str, channel: str) -> None:
    """Wait until the guest has opened a channel."""
    # Subscribe first and look then, so that nothing happens unnoticed in between.
    with client.events(guest=guest, kinds=["channel.attached"], timeout=60) as events:
        for listed in client.channels(guest):
            if listed["name"] == channel and listed["state"] == "attached":
                return
        print(f"waiting for {guest} to open {channel}", file=sys.stderr)
        for event in events:
            if event["channel"] == channel:
                return
    raise TimeoutError(f"{guest} has not opened {channel} within a minute")


def main() -> None:
    """Run the program."""
    if len(sys.argv) != 3 or "/" not in sys.argv[1]:
        sys.exit("usage: send_file.py GUEST/CHANNEL FILE")
    name, path = sys.argv[1:]
    try:
        with okl4fs.Client() as client, open(path, "rb") as file:
            wait_until_attached(client, *name.split("/", 1))
            with client.open(name) as sock:
                sock.sendfile(file)
                sock.shutdown(socket.SHUT_WR)  # the end of file for the guest's reader
                while answer := sock.recv(65536):
                    sys.stdout.buffer.write(answer)
    except (okl4fs.Error, OSError, LookupError, ValueError) as error:
        sys.exit(f"send_file.py: {error}")


if __name__ == "__main__":
    main()
