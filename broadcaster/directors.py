"""Whose signature counts in what a broadcaster wrote down: its director's, and that of its directors before. Pure.

Reports and audit logs outlive a change of keys. Which keys were in force before is proved by the rotations of the
trust; nobody needs to keep a list.
"""

import msgspec

from protocol.trust import Trust, follows


def was_director(trust: Trust, key: bytes) -> bool:
    """Whether ``key`` is the director key of ``trust``, or led to it by the rotations that the trust remembers."""
    if key == trust.director_key:
        return True
    # The key before the oldest rotation is named by nobody, but only it can have signed that rotation.
    serials = [rotation.serial - 1 for rotation in trust.superseded[:1]]
    serials += [rotation.serial for rotation in trust.superseded if rotation.director_key == key]
    return any(
        follows(trust, msgspec.structs.replace(trust, director_key=key, serial=serial, superseded=()))
        for serial in serials
    )
