"""Making models by a recipe, and putting them where they are loaded from."""

from collections.abc import Sequence
from pathlib import Path

from wmcontrol.compare.stages import run_stage

from .package import check_budget, expected_bytes, install, package, packaged_model, sizes_in
from .recipe import Recipe
from .steps import plan


def make_assets(recipe: Recipe, out: Path, into: Path, only: Sequence[str] | None = None) -> None:
    """Make models by a recipe, or go on making them; and put them into a folder once all of them are ready.

    Args:
        recipe: what they are.
        out: folder of the stages, each in a folder of its own: data, stores, training, packaged models.
        into: where the packaged models go in the end, each in a folder of its name.
        only: names of models; by default all of the recipe.

    Raises:
        ValueError: a model that the recipe has not; or all that is packaged would be, or is, over the budget. Nothing
            has been put into ``into``.
    """
    known = ["base", *recipe.models]
    wanted = list(dict.fromkeys(only or known))
    for name in wanted:
        if name not in known:
            raise ValueError(f"only: expected some of {', '.join(known)}; got {name!r}")
    for name in recipe.models:
        if name not in recipe.data:
            raise ValueError(f"the recipe has a model {name!r} and no data of that name; it has {list(recipe.data)}")
    kept = {name: size for name, size in sizes_in(into).items() if name not in wanted}
    check_budget(kept | {name: expected_bytes(recipe, name) for name in wanted})
    root = out.resolve() / "stages"
    for folder in (root, into):
        folder.mkdir(parents=True, exist_ok=True)
    stages = plan(recipe)
    packages = {name: package(name, stages, recipe) for name in wanted}
    needed = {stage.digest: stage for package in packages.values() for stage in package.all_needs()}
    for number, stage in enumerate(needed.values(), 1):
        finished = stage.record(root) is not None
        print(f"[{number}/{len(needed)}] {stage.name}{': finished already' if finished else ''}", flush=True)
        run_stage(stage, root)
    made = {name: packaged_model(stage, root) for name, stage in packages.items()}
    sizes = {name: sum(sizes_in(folder).values()) for name, folder in made.items()}
    check_budget(kept | sizes)
    for folder in made.values():
        install(folder, into)
    for name in wanted:
        print(f"{into / name}: {sizes[name] / 1e6:.2f} MB")
    print(f"{sum(sizes_in(into).values()) / 1e6:.2f} MB in all")
