# SPDX-License-Identifier: BSD-3-Clause
"""The tables of the figures that were measured in guests."""

ROWS = (
    ("64 KiB, guest to host", "to_host_65536_mib_s", "MiB/s"),
    ("64 KiB, host to guest", "to_guest_65536_mib_s", "MiB/s"),
    ("4 KiB, guest to host", "to_host_4096_mib_s", "MiB/s"),
    ("4 KiB, host to guest", "to_guest_4096_mib_s", "MiB/s"),
    ("64 B round trip, p50", "round_trip_64_p50_us", "us"),
    ("64 B round trip, p99", "round_trip_64_p99_us", "us"),
)
ALONE = (
    ("64 KiB to discard", "discard_65536_mib_s", "MiB/s"),
    ("64 B echo, p50", "echo_64_p50_us", "us"),
    ("64 B echo, p99", "echo_64_p99_us", "us"),
)
JOINED = (
    ("64 KiB", "rate_65536_mib_s", "MiB/s"),
    ("4 KiB", "rate_4096_mib_s", "MiB/s"),
    ("64 B round trip, p50", "round_trip_64_p50_us", "us"),
    ("64 B round trip, p99", "round_trip_64_p99_us", "us"),
)
ISOLATION = (("set-up, ms", "set_up_ms"), ("64 B p50, us", "round_trip_p50_us"),
             ("64 B p99, us", "round_trip_p99_us"), ("stream, MiB/s", "rate_mib_s"))


def show_joined(median: dict, ratio: dict) -> None:
    """Print the figures from guest to guest."""
    print("\nFrom guest to guest, medians; the ratio says how many times better `channel` is\n")
    print(f"{'':24}{'channel':>10}" + "".join(f"{peer:>16}{'ratio':>8}" for peer in ratio))
    for label, key, unit in JOINED:
        peers = "".join(f"{median[peer][key]:16.1f}{ratio[peer][key]:7.1f}x" for peer in ratio)
        print(f"{label:24}{median['channel'][key]:10.1f}{peers}  {unit}")


def show_channels(median: dict, ratio: dict) -> None:
    """Print the cost of a round trip beside other channels."""
    print("\n64 B through an echo, p50 in us, beside other channels; the ratio is to one channel\n")
    print(f"{'channels in all':>16}{'others idle':>14}{'ratio':>8}{'others asleep':>16}{'ratio':>8}")
    for number in median["idle"]:
        print(f"{number:16}{median['idle'][number]:14.1f}{ratio['idle'][number]:7.2f}x"
              f"{median['asleep'][number]:16.1f}{ratio['asleep'][number]:7.2f}x")


def show_isolation(median: dict, ratio: dict) -> None:
    """Print what a guest notices of another guest's frontend."""
    print("\nA guest while another guest's frontend attacks; in brackets, how many times as much as "
          "before\n")
    print(f"{'':18}" + "".join(f"{label:>20}" for label, _ in ISOLATION))
    for attack, figures in median["during"].items():
        print(f"{attack:18}" + "".join(
            f"{figures[key]:12.1f} ({ratio[attack][key]:5.2f})" for _, key in ISOLATION))


def show(result: dict) -> None:
    """Print the guest's figures (ring_native prints its own) and the machine they come from."""
    if "guest" in result:
        median, ratio = result["guest"]["median"], result["guest"]["ratio"]
        print("\nIn one guest, medians; the ratio says how many times better okl4fs is\n")
        print(f"{'':24}{'okl4fs':>10}{'virtio-serial':>16}{'ratio':>9}")
        for label, key, unit in ROWS:
            print(f"{label:24}{median['okl4fs'][key]:10.1f}{median['virtio-serial'][key]:16.1f}"
                  f"{ratio[key]:8.1f}x  {unit}")
        print("\nWithout a process behind the daemon\n")
        for label, key, unit in ALONE:
            print(f"{label:24}{median['daemon'][key]:10.1f}{'':25}  {unit}")
    if "joined" in result:
        show_joined(**{key: result["joined"][key] for key in ("median", "ratio")})
    if "channels" in result:
        show_channels(**{key: result["channels"][key] for key in ("median", "ratio")})
    if "isolation" in result:
        show_isolation(**{key: result["isolation"][key] for key in ("median", "ratio")})
    machine = result["machine"]
    print(f"\n{machine['cpus']} CPUs: {machine['cpu']}; Linux {machine['kernel']}; "
          f"QEMU {machine['qemu']} ({machine['accelerator']}, {machine['guest_cpus']} CPUs); "
          f"{machine['rounds']} rounds; okl4fs {machine['version']}; {machine['date']}")
