"""Reads the imports of every module: which way they point, and what the pure ones keep away from."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each layer may import itself and those named behind it (DESIGN.md section 3).
MAY_IMPORT = {
    "protocol": set[str](),
    "protocol.link": {"protocol"},
    "protocol.disk": {"protocol"},
    "broadcaster": {"protocol", "protocol.link", "protocol.disk"},
    "receiver": {"protocol", "protocol.link", "protocol.disk"},
    "dashboards": {"protocol", "protocol.link"},
    "slatecast": {"protocol", "protocol.link", "protocol.disk", "broadcaster", "receiver", "dashboards"},
}

PURE_SESSIONS = [
    "broadcaster/admissions.py",
    "broadcaster/alarms.py",
    "broadcaster/announcement.py",
    "broadcaster/budget.py",
    "broadcaster/bulletin.py",
    "broadcaster/captures/capture.py",
    "broadcaster/captures/naming.py",
    "broadcaster/captures/register.py",
    "broadcaster/damage.py",
    "broadcaster/guess_limits.py",
    "broadcaster/host/attendance.py",
    "broadcaster/host/backup_gate.py",
    "broadcaster/host/happenings.py",
    "broadcaster/host/hosting.py",
    "broadcaster/host/news.py",
    "broadcaster/host/places.py",
    "broadcaster/interleaving.py",
    "broadcaster/inventory.py",
    "broadcaster/lanes.py",
    "broadcaster/netboot/decisions.py",
    "broadcaster/netboot/scripts.py",
    "broadcaster/outgoing.py",
    "broadcaster/pacing.py",
    "broadcaster/plan.py",
    "broadcaster/rate.py",
    "broadcaster/rate_in_use.py",
    "broadcaster/readiness.py",
    "broadcaster/repair.py",
    "broadcaster/repair_credit.py",
    "broadcaster/report.py",
    "broadcaster/roster.py",
    "broadcaster/seat_api/routes.py",
    "broadcaster/session.py",
    "broadcaster/steering.py",
    "broadcaster/stragglers.py",
    "broadcaster/symbol_choice.py",
    "broadcaster/waiting_room.py",
    "dashboards/desk_rules.py",
    "dashboards/fleet/capture_view.py",
    "dashboards/fleet/eta.py",
    "dashboards/fleet/fold.py",
    "dashboards/fleet/health.py",
    "dashboards/fleet/paged.py",
    "dashboards/fleet/progress.py",
    "dashboards/fleet/room_view.py",
    "dashboards/fleet/seat_view.py",
    "dashboards/fleet/session_fold.py",
    "dashboards/fleet/timeline.py",
    "dashboards/fleet/views.py",
    "dashboards/pages/capture_words.py",
    "dashboards/session_watch.py",
    "receiver/first_pass.py",
    "receiver/forgeries.py",
    "receiver/inventory.py",
    "receiver/last_status.py",
    "receiver/orders.py",
    "receiver/poison.py",
    "receiver/reception.py",
    "receiver/repair.py",
    "receiver/reporter.py",
    "receiver/session.py",
    "receiver/speech.py",
    "receiver/standing.py",
    "receiver/suspects.py",
    "slatecast/seat/captures.py",
    "slatecast/seat/events.py",
    "slatecast/seat/log_lines.py",
    "slatecast/seat/pace.py",
    "slatecast/seat/questions.py",
    "slatecast/seat/screen_model.py",
    "slatecast/seat/seat_state.py",
    "slatecast/seat/seat_words.py",
    "slatecast/seat/session_view.py",
]

IMPURE = {
    *("asyncio", "socket", "select", "selectors", "ssl", "threading", "multiprocessing", "subprocess", "signal"),
    *("os", "io", "pathlib", "shutil", "tempfile", "mmap", "fcntl"),
    *("time", "datetime", "random", "secrets", "uuid"),
    *("aiomqtt", "psutil", "zeroconf", "rich", "click", "prometheus_client", "tenacity"),
}
IMPURE_BUILTINS = {"open", "input", "print"}


def modules() -> list[Path]:
    packages = {layer.partition(".")[0] for layer in MAY_IMPORT}
    return sorted(path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py"))


def pure_modules() -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted((ROOT / "protocol").glob("*.py"))] + list(
        map(Path, PURE_SESSIONS)
    )


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_point_down(module: Path) -> None:
    own = _layer(".".join(module.with_suffix("").parts))
    foreign = ""
    assert not [name for name in _imported(_tree(module)) if _layer(name) not in {foreign, own, *MAY_IMPORT[own]}]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_are_absolute_and_know_no_tests(module: Path) -> None:
    assert not [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not {name for name in _imported(_tree(module)) if name.partition(".")[0] in {"tests", "benches"}}


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("aiomqtt", "protocol/link/mqtt.py"),
        ("amqtt", "broadcaster/room_broker.py"),
        ("paho", "protocol/link/mqtt.py"),
        ("spake2", "protocol/pairing.py"),
    ],
)
def test_library_is_imported_in_one_file(library: str, only: str) -> None:
    importing = [module for module in modules() if library in _top_names(_imported(_tree(module)))]
    assert importing == [Path(only)]


@pytest.mark.parametrize("module", pure_modules(), ids=str)
def test_pure_module_has_no_world(module: Path) -> None:
    assert not _impurities(_tree(module))


@pytest.mark.parametrize(
    ("source", "impurities"),
    [
        ("import os.path, struct", {"os.path"}),
        ("def f():\n    from time import monotonic", {"time.monotonic"}),
        ("open('x')", {"open"}),
        ("import random\ndef f(chance: random.Random): return chance.random()", set()),
        ("import random\nchance = random.Random()", {"random.Random()"}),
        ("import random\nrandom.random()", {"random.random"}),
        ("from random import choice", {"random.choice"}),
    ],
)
def test_impurities_are_seen(source: str, impurities: set[str]) -> None:
    assert _impurities(ast.parse(source)) == impurities


@pytest.mark.parametrize(
    ("name", "layer"),
    [("protocol.wire", "protocol"), ("protocol.link.mqtt.MqttLink", "protocol.link"), ("protocols", ""), ("os", "")],
)
def test_layer_of_a_name(name: str, layer: str) -> None:
    assert _layer(name) == layer


def _impurities(tree: ast.Module) -> set[str]:
    """What a pure module may not do; of ``random`` it may use the type Random, of which it is handed an object."""
    found = {name for name in _imported(tree) if name.partition(".")[0] in IMPURE} - {"random", "random.Random"}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS:
                found.add(name)
            case ast.Call(func=ast.Name(id="Random") | ast.Attribute(value=ast.Name(id="random"), attr="Random")):
                if not node.args and not node.keywords:
                    found.add("random.Random()")
            case ast.Attribute(value=ast.Name(id="random"), attr=attribute) if attribute != "Random":
                found.add(f"random.{attribute}")
    return found


def _tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def _imported(tree: ast.AST) -> Iterator[str]:
    """Full name of what each import binds, at any depth of the file, those for the type checker included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _top_names(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def _layer(name: str) -> str:
    """The layer of a module, or of a name in it: the longest layer that it begins with."""
    layers = [layer for layer in MAY_IMPORT if f"{name}.".startswith(f"{layer}.")]
    return max(layers, key=len, default="")
