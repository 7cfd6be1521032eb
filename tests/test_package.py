"""The house: links, layers, what importing costs."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import pytest

import wmcontrol

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(wmcontrol.__file__).parent
LINKS = ("envs", "planners", "agents")
EVERYONE_MAY = {"actions", "checks", "untrusted", "files", "hardware", "runs", "__version__", "ENV_IDS"}
EVERYTHING = {
    "envs",
    "planners",
    "encoders",
    "objectives",
    "models",
    "data",
    "training",
    "agents",
    "evaluation",
    "forecasting",
    "scenes",
    "hub",
    "memory",
    "engine",
    "trackers",
}
MAY_IMPORT = {
    "actions": set(),
    "bounds": set(),
    "checks": set(),
    "files": set(),
    "hardware": set(),
    "hub": set(),
    "runs": set(),
    "trackers": set(),
    "engine": set(),
    "memory": set(),
    "envs": set(),
    "scenes": {"engine", "envs"},
    "planners": {"bounds"},
    "encoders": set(),
    "objectives": set(),
    "untrusted": set(),
    "models": {"bounds", "encoders", "hub"},
    "data": {"bounds", "encoders", "engine", "envs", "hub"},
    "training": {"models", "data"},
    "agents": {"envs", "models", "planners", "objectives"},
    "evaluation": {"agents", "data", "engine", "envs", "memory", "models", "objectives", "planners", "trackers"},
    "forecasting": {"data", "encoders", "evaluation", "models", "scenes", "training"},
    "compare": EVERYTHING,
    "cli": EVERYTHING | {"compare"},
    "__main__": {"cli"},
}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(file: Path) -> set[str]:
    """Absolute names of all modules that a file of the package imports, also those inside functions."""
    package = ["wmcontrol", *file.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def rooms_in(modules: set[str]) -> set[str]:
    return {parts[1] for parts in (m.split(".") for m in modules) if parts[0] == "wmcontrol" and len(parts) > 1}


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_rooms_import_only_what_they_may(file: Path) -> None:
    parts = file.relative_to(PACKAGE).parts
    room = parts[0].removesuffix(".py")
    if room == "__init__":
        return
    allowed = MAY_IMPORT[room] | {room} | EVERYONE_MAY
    assert rooms_in(imported_modules(file)) <= allowed


@pytest.mark.parametrize("room", LINKS)
def test_links_point_into_the_package(room: str) -> None:
    link = ROOT / room
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("not in a checkout")
    assert link.is_symlink()
    assert link.readlink() == Path("wmcontrol") / room
    assert link.resolve() == PACKAGE / room


def test_nothing_imports_through_the_links() -> None:
    for file in [*SOURCES, *Path(__file__).parent.rglob("*.py")]:
        relative = file.is_relative_to(PACKAGE)
        modules = imported_modules(file) if relative else _absolute_imports(file)
        assert not {m for m in modules if m.split(".")[0] in LINKS}, file


def _absolute_imports(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level and n.module}


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.long
def test_importing_is_quick_and_brings_in_nothing_heavy() -> None:
    seconds = min(
        float(run("import torch, time; t = time.perf_counter(); import wmcontrol; print(time.perf_counter() - t)"))
        for _ in range(5)
    )
    assert seconds < 0.2
    heavy = ["transformers", "stable_baselines3", "mujoco", "pymunk", "cv2", "matplotlib", "imageio", "hydra", "rich"]
    loaded = run(f"import sys, wmcontrol; print([m for m in {heavy} if m in sys.modules])")
    assert loaded == "[]"


def test_each_environment_imports_only_its_own_engine() -> None:
    for env_id, engines in (("Wall-v0", []), ("PushT-v0", ["pymunk"]), ("PointMaze_UMaze-v0", ["mujoco"])):
        loaded = run(
            "import sys, wmcontrol, gymnasium; "
            f"gymnasium.make('wmcontrol/{env_id}'); print([m for m in ['pymunk', 'mujoco'] if m in sys.modules])"
        )
        assert loaded == str(engines)


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_text_is_utf_8_on_every_system(file: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if _is_text(call) and "encoding" not in {k.arg for k in call.keywords}] == []


def _is_text(call: ast.Call) -> bool:
    """Say whether a call reads or writes a file, or another program's output, as text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("read_text", "write_text"):
        return True
    if ast.unparse(call.func) == "av.open":  # a film
        return False
    if name in ("run", "Popen", "check_output"):
        return any(k.arg == "text" for k in call.keywords)
    if name == "open" and len(call.args) == isinstance(call.func, ast.Name) and not call.keywords:
        return True
    modes = [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
    texts = [
        mode for mode in modes if isinstance(mode, ast.Constant) and mode.value in ("r", "w", "a", "x", "r+", "w+")
    ]
    return name in ("open", "fdopen", "NamedTemporaryFile") and bool(texts)


@pytest.mark.long
def test_everything_imports_without_what_only_posix_has() -> None:
    modules = [".".join(("wmcontrol", *file.relative_to(PACKAGE).with_suffix("").parts)) for file in SOURCES]
    names = [module.removesuffix(".__init__") for module in modules if not module.endswith("__main__")]
    # filelock has another lock on Windows, and says on systems without either that it has none.
    run(
        "import sys, importlib, filelock, warnings; "
        "warnings.filterwarnings('ignore', category=DeprecationWarning); "  # of other packages, in one another
        "sys.modules |= dict.fromkeys(['fcntl', 'resource', 'pwd', 'grp', 'termios']); "
        f"[importlib.import_module(name) for name in {names}]"
    )


def test_importing_twice_registers_once_and_without_a_warning() -> None:
    run("import wmcontrol, importlib; importlib.reload(wmcontrol); wmcontrol.envs.register_envs()")


def test_typed_and_versioned() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert wmcontrol.__version__.count(".") == 2
    for name in wmcontrol.__all__:
        assert hasattr(wmcontrol, name)


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    """Import everything: a module that has the name of a function may stand in its place afterwards."""
    found = walk_packages(wmcontrol.__path__, "wmcontrol.")
    return [wmcontrol, *(import_module(module.name) for module in found if not module.name.endswith("__main__"))]


def test_exported_names_are_no_modules(modules: list[ModuleType]) -> None:
    exported = {f"{m.__name__}.{name}": getattr(m, name) for m in modules for name in getattr(m, "__all__", [])}
    assert callable(exported["wmcontrol.data.collect"])
    assert not [name for name, value in exported.items() if isinstance(value, ModuleType)]


PROSE = [*SOURCES, *(ROOT / "docs").glob("*.md"), *ROOT.glob("README.md")]


@pytest.mark.parametrize("file", PROSE, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_full_names_lead_somewhere_and_what_is_called_can_be(file: Path, modules: list[ModuleType]) -> None:
    for name, called in re.findall(r"(?<![\w/.])(wmcontrol(?:\.\w+)+)(\(?)", file.read_text()):
        found: Any = wmcontrol
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        assert callable(found) or not called, name


def test_test_files_have_names_of_their_own() -> None:
    """Pytest imports them by their names alone."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
