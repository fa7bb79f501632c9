import socket
import subprocess
import sys

import pytest

from broadcaster.broker_process import READY

MODULES_OF_THE_CHILD = "import sys, broadcaster.broker_process, broadcaster.room_broker; print(*sys.modules)"


@pytest.mark.system
def test_child_imports_nothing_of_the_roles() -> None:
    modules = subprocess.run([sys.executable, "-c", MODULES_OF_THE_CHILD], check=True, capture_output=True, text=True)
    loaded = modules.stdout.split()
    assert "amqtt.broker" in loaded
    ours = [name for name in loaded if name.split(".")[0] in {"protocol", "broadcaster", "receiver", "slatecast"}]
    assert sorted(ours) == [
        "broadcaster",
        "broadcaster.access",
        "broadcaster.broker_process",
        "broadcaster.handshakes",
        "broadcaster.room_broker",
        "protocol",
        "protocol.link",
        "protocol.link.tls",
    ]
    assert not {"aiomqtt", "zstandard", "cryptography", "rich"} & set(loaded)


@pytest.mark.system
@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\x7f",  # a CONNECT that announces 256 MiB (MQTT 3.1.1 section 2.2.3)
        b"\x30\x05\x00\x01a",  # a PUBLISH before any CONNECT
        bytes(1000),
    ],
)
def test_nonsense_is_survived_in_silence(nonsense: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, "-m", "broadcaster.broker_process", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == READY
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(nonsense)
        with socket.create_connection(("127.0.0.1", port)) as peer:
            # CONNECT of the clean session "a", then its acknowledgement (MQTT 3.1.1 sections 3.1, 3.2).
            peer.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
            assert peer.recv(4) == b"\x20\x02\x00\x00"
        output, errors = child.communicate(timeout=10)
        assert (child.returncode, output, errors) == (0, b"", b"")
    finally:
        child.kill()
        child.wait()
