"""A session as it is wanted, before there is a plan of it: what pages, API and restores hand to the desk. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """Which image goes onto which seats, and what is done to their disks before and after."""

    room: str
    image: str
    version: int = 0
    """0 for the newest"""
    rate_bits_per_second: int = 0
    """0 for the configured one"""
    seats: tuple[str, ...] = ()
    """names of those that are meant; none for all whose machines are there"""
    configuration: str | None = None
    """what is done to each disk once it is verified; empty for the image's, None for what the room's policy says"""
    backs_up: bool | None = None
    """capture every disk before it is overwritten; None for what the room's policy says"""
