"""Running totals of one receiver's part in a session, as they stand in its reports; the service keeps them."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """What the session itself cannot see: sockets, threads and the disk."""

    bytes_received: int = 0
    """UDP payload bytes"""
    catch_up_bytes: int = 0
    blocks_to_scan: int = 0
    blocks_scanned: int = 0
    buffer_drops: int = 0
    """datagrams"""
    datagrams_rejected: int = 0
    buffer_fill_ratio: float = 0.0
    """of the kernel's receive buffer, the most since the last report"""
    bytes_written: int = 0
    disk_busy_ratio: float = 0.0
    """since the last report"""
    link_bits_per_second: int = 0
    bytes_to_verify: int = 0
    bytes_verified: int = 0
