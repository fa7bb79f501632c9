"""A capture as operators look at it. Pure."""

from dataclasses import dataclass

from protocol.capture import CaptureStep
from protocol.operators import CaptureNews


@dataclass(frozen=True, slots=True)
class CaptureView:
    """A disk on its way into the library, or how that ended."""

    capture_id: str
    machine: str
    seat: str
    image: str
    is_backup: bool
    step: CaptureStep
    target: str
    """disk in words; empty before it is known"""
    disk_size: int
    """bytes; 0 before it is known"""
    ordered_by: str
    """user name; empty when somebody asked for it at the machine"""
    began_at: float
    """seconds since 1970"""
    done: float
    """0 to 1"""
    read_bytes: int
    sent_bytes: int
    version: int
    """of the image, once it is there; else 0"""
    findings: int
    """how many things were found on the disk that an operator should know"""
    reason: str
    """why it was refused, failed or waits, or the first finding"""

    @property
    def is_open(self) -> bool:
        """Whether it can still become an image."""
        return self.step in {CaptureStep.ASKED, CaptureStep.ORDERED, CaptureStep.RUNNING}


def capture_view(news: CaptureNews) -> CaptureView:
    """What was told of it."""
    return CaptureView(
        capture_id=news.capture_id,
        machine=news.machine,
        seat=news.seat,
        image=news.image,
        is_backup=news.is_backup,
        step=news.step,
        target=news.target,
        disk_size=news.disk_size,
        ordered_by=news.ordered_by,
        began_at=news.began_at,
        done=news.done,
        read_bytes=news.read_bytes,
        sent_bytes=news.sent_bytes,
        version=news.version,
        findings=news.findings,
        reason=news.reason,
    )
