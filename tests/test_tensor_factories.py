"""Every tensor that the package makes says its number type and device, whatever the process's defaults are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wmcontrol

ROOT = Path(wmcontrol.__file__).parent
# What reads torch's default number type or device; on the lists of torch.set_default_dtype and set_default_device.
FACTORIES = {
    *("arange", "as_tensor", "asarray", "empty", "empty_strided", "eye", "full", "linspace", "logspace", "ones"),
    *("rand", "randint", "randn", "randperm", "range", "scalar_tensor", "tensor", "tril_indices", "triu_indices"),
    *("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window", "normal", "zeros"),
    *("fft.fftfreq", "fft.rfftfreq"),
}
LAYERS = {"Linear", "LayerNorm", "RMSNorm", "Embedding", "Conv1d", "Conv2d", "Conv3d", "MultiheadAttention"}


def calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    """Find the calls of functions of torch and of layers of nn, with their names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
            if name.startswith(("torch.", "nn.")):
                yield node, name.removeprefix("torch.")


def faults(source: str) -> list[str]:
    """Return the calls that leave something to the process's defaults.

    A module is made where the process makes modules, as any of PyTorch; what builds one where it belongs says so.
    """
    found, of_modules = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("nn.Parameter", "self.register_buffer"):
            of_modules |= {(part.lineno, part.col_offset) for part in node.args}
    for call, name in calls(source):
        given = {keyword.arg for keyword in call.keywords}
        layer = name.removeprefix("nn.") in LAYERS and name.startswith("nn.")
        wanted = {"dtype", "device"} if name in FACTORIES else {"dtype"} if layer else set()
        if (call.lineno, call.col_offset) in of_modules:
            wanted -= {"device"}
        if wanted - given:
            found.append(f"line {call.lineno}: {ast.unparse(call)[:90]} lacks {sorted(wanted - given)}")
    return found


def test_this_search_finds_what_it_is_for() -> None:
    source = (
        "x = torch.zeros(3, dtype=torch.float32)\n"
        "y = torch.fft.rfftfreq(4, device=d)\n"
        "z = [nn.Linear(2, 3), torch.zeros_like(x), x.new_zeros(3), np.zeros(3)]\n"
        "v = nn.Parameter(torch.empty(3, dtype=torch.float32)), nn.Parameter(torch.empty(3))\n"
        "w = torch.arange(3, device=d, dtype=torch.int64)\n"
    )
    assert [fault.split(":")[0] for fault in faults(source)] == ["line 1", "line 2", "line 3", "line 4"]
    assert "lacks ['device']" in faults(source)[0]


@pytest.mark.parametrize("room", sorted(path.name for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()))
def test_every_factory_says_number_type_and_device(room: str) -> None:
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    found = [f"{file.relative_to(ROOT)} {fault}" for file in files for fault in faults(file.read_text("utf-8"))]
    assert not found, "\n".join(found)
