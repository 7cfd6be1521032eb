"""``wmcontrol bench training``."""

from dataclasses import dataclass
from pathlib import Path

from ..keys import key
from ..record import results_folder


@dataclass
class Config:
    """Measure steps per second of fine-tuning from a latent store, on the CPU, for the sizes that fit. Takes minutes.

    Beside them: the time of reading alone, the share of the machine's rate of matrix products, and what encoding in
    the loop would cost. A table and the same in JSON are saved.
    """

    store: Path | None = key(
        "a latent store with actions; by default stores of random tokens are made, and removed",
        default=None,
        example="stores/1f2e",
    )
    seconds: float = key("how long each rate is measured", default=3.0, over=0, example="10")
    compile: bool = key("measure torch.compile too, on the smallest", default=True, example="false")
    out: Path | None = key("the folder for the results; by default under outputs", default=None, example="training")


def run(config: Config) -> None:
    """Measure, save and print the table."""
    from ..bench_training import run as run_bench

    out = results_folder("bench training", config, config.out)
    print(run_bench(out, config.store, seconds=config.seconds, compiled=config.compile).read_text(encoding="utf-8"))
