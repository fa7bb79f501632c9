"""The name of a Windows, by the answer file that it reads when it sets itself up anew after sysprep.

It looks for Windows/Panther/unattend.xml first, then for the one that sysprep was given, which lies in
Windows/System32/Sysprep. An image that was not generalized by sysprep reads none: such a Windows keeps its name.
"""

from typing import Final

from protocol.configuration import WindowsStep
from receiver.configure.files import write_file
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.place import Place

_GENERALIZED: Final = "Windows/System32/Sysprep/Sysprep_succeeded.tag"


def answer_setup(place: Place, step: WindowsStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    with place.disk.windows_root() as root:
        has_changed = write_file(place, root, step.unattend)
        is_generalized = root.has(_GENERALIZED)
    doubt = "" if is_generalized else "; no sign of sysprep: a Windows that was not generalized does not read it"
    if not has_changed:
        return skipped(f"{step.unattend.path} is there already{doubt}")
    return done(f"will be {step.computer_name}, by {step.unattend.path}{doubt}")
