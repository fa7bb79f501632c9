"""A folder that looks like an environment, with a few bytes for each file."""

from pathlib import Path

from broadcaster.environment.description import FILES, Environment, file_facts, write_description


def small_environment(folder: Path) -> Environment:
    """Make it; what its description says."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(f"this is {name}")
    environment = Environment(
        slatecast="0.1.0",
        suite="bookworm",
        debian="12.1",
        kernel="6.1.0-1-amd64",
        built_at=1_700_000_000,
        initrd_unpacked=1000,
        has_trust=False,
        files=file_facts(folder, FILES),
        packages={"bash": "5", "dash": "1"},
        python_packages={"msgspec": "0.22"},
    )
    write_description(folder, environment)
    return environment
