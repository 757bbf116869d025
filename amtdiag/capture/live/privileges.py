"""Gives up what the process may do beyond its caller, once the sockets are open."""

from __future__ import annotations

import ctypes
import os

from amtdiag.errors import MissingToolError

_VERSION_3 = 0x2008_0522
_NO_NEW_PRIVILEGES = 38


def become_caller() -> None:
    """Go on as the user who called, without any capability: files belong to that user from now on.

    Behind sudo that is the user who typed it. Whoever is root stays root, without its powers. Raises
    `MissingToolError` where that user cannot read what has yet to be imported.
    """
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "0") != "0":
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
        os.setgroups(_groups(user, group))
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
        for module in (os.__file__, __file__):
            folder = os.path.dirname(module)  # noqa: PTH120 - pathlib may be among what cannot be read
            if not os.access(folder, os.R_OK | os.X_OK):
                raise MissingToolError(
                    f"the user behind sudo cannot read {folder}: install amtdiag where that user can"
                )
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _groups(user: int, group: int) -> list[int]:
    import pwd

    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]
