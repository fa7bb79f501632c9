"""Lets the system on the disk say once that it has started: a line of bash, or of PowerShell, and where to say it.

Linux: a systemd unit runs a script that sends over bash's own /dev/udp; nothing has to be installed. It runs while its
configuration is there, and removes it. Windows: SetupComplete.cmd, which setup runs at its end, calls a script that
does the same. A datagram may be lost, so each says it five times.
"""

from typing import Final

from protocol.configuration import Beacon, BeaconStep, System
from protocol.errors import RefusedError
from receiver.configure.files import system_root
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.place import Place
from receiver.configure.target_root import TargetRoot

LINUX_CONFIG: Final = "etc/slatecast/beacon.conf"
LINUX_SCRIPT: Final = "usr/local/lib/slatecast/beacon"
LINUX_UNIT: Final = "etc/systemd/system/slatecast-beacon.service"
WINDOWS_SCRIPT: Final = "Windows/Setup/Scripts/slatecast-beacon.ps1"
WINDOWS_SETUP: Final = "Windows/Setup/Scripts/SetupComplete.cmd"

_WANTS: Final = "etc/systemd/system/multi-user.target.wants/slatecast-beacon.service"
_CALL: Final = "powershell.exe -NoProfile -ExecutionPolicy Bypass -File %WINDIR%\\Setup\\Scripts\\slatecast-beacon.ps1"

_UNIT: Final = f"""\
[Unit]
Description=Tell the imaging server that this system has started
Wants=network-online.target
After=network-online.target
ConditionPathExists=/{LINUX_CONFIG}

[Service]
Type=oneshot
ExecStart=/bin/bash /{LINUX_SCRIPT}
TimeoutStartSec=60

[Install]
WantedBy=multi-user.target
"""

_SCRIPT: Final = f"""\
#!/bin/bash
# Tells the imaging server that this system has started; written by slatecast, and run once.
config=/{LINUX_CONFIG}
{{ read -r host; read -r port; read -r token; }} < "$config" || exit 0
sent=1
for attempt in 1 2 3 4 5; do
  {{ printf 'slatecast booted %s' "$token" > "/dev/udp/$host/$port"; }} 2> /dev/null && sent=0
  sleep 2
done
[ "$sent" = 0 ] && rm -f "$config"
exit "$sent"
"""

_POWERSHELL: Final = """\
# Tells the imaging server that this system has started; written by slatecast, and run once.
$bytes = [Text.Encoding]::ASCII.GetBytes('slatecast booted {token}')
foreach ($attempt in 1..5) {{
  try {{
    $udp = New-Object Net.Sockets.UdpClient '{host}', {port}
    [void]$udp.Send($bytes, $bytes.Length)
    $udp.Close()
  }} catch {{ }}
  Start-Sleep -Seconds 2
}}
Remove-Item -LiteralPath $PSCommandPath
"""


def place_beacon(place: Place, step: BeaconStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    beacon = place.beacon
    if beacon is None:
        return skipped("the broadcaster hears no beacons")
    with system_root(place, step.system) as root:
        if step.system is System.WINDOWS:
            _place_windows(root, beacon)
        else:
            _place_linux(root, beacon)
    return done("will tell when it has started")


def _place_linux(root: TargetRoot, beacon: Beacon) -> None:
    if not root.has("usr/bin/bash") and not root.has("bin/bash"):
        raise RefusedError("the system has no bash, which its beacon is sent with")
    if not root.has("usr/lib/systemd/systemd") and not root.has("lib/systemd/systemd"):
        raise RefusedError("the system has no systemd, which its beacon is started by")
    root.write(LINUX_SCRIPT, _SCRIPT.encode(), mode=0o755, owner=0)
    root.write(LINUX_UNIT, _UNIT.encode(), mode=0o644, owner=0)
    root.link(_WANTS, f"/{LINUX_UNIT}")
    # Last, since the unit runs only while it is there.
    root.write(LINUX_CONFIG, f"{beacon.host}\n{beacon.port}\n{beacon.token}\n".encode(), mode=0o600, owner=0)


def _place_windows(root: TargetRoot, beacon: Beacon) -> None:
    script = _POWERSHELL.format(host=beacon.host, port=beacon.port, token=beacon.token)
    root.write(WINDOWS_SCRIPT, script.replace("\n", "\r\n").encode())
    setup = root.read(WINDOWS_SETUP) or b"@echo off\r\n"
    if _CALL.encode() not in setup:
        root.write(WINDOWS_SETUP, setup.rstrip(b"\r\n") + f"\r\n{_CALL}\r\n".encode())
