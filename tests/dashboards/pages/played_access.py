"""Accounts and tokens of a played console, cheap to make, in a folder that goes with the process."""

import atexit
import shutil
import tempfile
from pathlib import Path

from dashboards.access.access import Access
from dashboards.access.policy import AccessPolicy
from dashboards.user import User
from tests.dashboards.access.console import CHEAP, HOST, PASSWORD
from tests.dashboards.played_desk import ADMIN, OPERATOR, VIEWER

USERS: tuple[User, ...] = (VIEWER, OPERATOR, ADMIN)


def played_access() -> Access:
    """With an account for each role, all with the same password."""
    folder = Path(tempfile.mkdtemp(prefix="slatecast-played-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    access = Access(folder, AccessPolicy(hosts=frozenset({HOST})), hasher=CHEAP)
    for user in USERS:
        access.accounts.add(user.name, access.accounts.hashed(user.name, PASSWORD), user.role)
    return access
