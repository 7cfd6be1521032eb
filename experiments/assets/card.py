"""Model cards: what a packaged model is, what it was made of, how, and how well it imagines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wmcontrol.training import PredictionError

CARD, FACTS = "card.md", "card.json"


def card(facts: Mapping[str, Any]) -> str:
    """Put the facts of ``card.json`` into words and tables, in Markdown."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    name, stages = facts["name"], {stage["name"]: stage for stage in facts["stages"]}
    base = name == "base"
    trainings = [stage for told, stage in stages.items() if told.split(" further")[0] == f"train {name}"]
    trained = trainings[-1]
    predictor = stages["train base"]["settings"]["predictor"]
    what = (
        "A predictor of the next frame's tokens, pretrained without actions on video of all environments below. "
        "Fine-tune it with `wmcontrol finetune base=base`."
        if base
        else f"A world model that takes actions, for `{_env_id(stages, name)}`, to plan with: the packaged recipe's "
        "`base`, fine-tuned in all its weights on trajectories with actions."
    )
    yield f"# {name}\n"
    yield f"{what} `WorldModel.load({name!r})` loads it. The architecture is DINO-world's (arXiv 2507.19468).\n"
    yield f"Made by `{facts['command']}` (settings: `experiments/assets/recipe.py`; they are below in full).\n"
    height, width = facts["frame_size"]
    size = ", ".join(f"{key} {value:g}" for key, value in predictor.items())
    encoder = stages["fit encoder"]["facts"]
    tokens = encoder["settings"]["tokens"]
    rows = {
        "predictor": f"{trained['facts']['parameters']:,} parameters: {size}",
        "encoder": f"{encoder['encoder']}, {tokens[0]} × {tokens[1]} tokens of {encoder['settings']['num_components']} "
        f"numbers, frames of {height} × {width}",
        "weights": f"predictor in {facts['weights']['predictor']}, encoder in {facts['weights']['encoder']}; "
        f"{facts['bytes']:,} bytes, SHA-256 `{facts['sha256']}`",
    }
    if facts["actions"]:
        skip, rate = facts["actions"]["frameskip"], facts["control_rate"]
        rows["a model step"] = f"{skip} environment actions, {skip / rate:g} s"
    if prior := stages.get(f"fit prior {name}"):
        found = prior["facts"]
        rows["action prior"] = (
            f"{found['parameters']:,} parameters in {facts['weights']['prior']}; the nearest of 16 proposals is "
            f"{found['error']:.2f} standard deviations of an action from what was done in held-out windows, the mean "
            f"action {found['mean_action_error']:.2f}"
        )
    if far := stages.get(f"fit far {name}"):
        rows["for far goals"] = _far(facts, far["facts"])
    rows |= {"wmcontrol": trained["attempts"][-1]["wmcontrol"], "licence": "Apache-2.0"}
    yield from _table(("", ""), rows.items())
    yield "\n## How well it imagines\n"
    errors = facts["errors"]
    count = "; ".join(f"{d}: {found['windows']:,} windows of {found['trajectories']}" for d, found in errors.items())
    yield (
        f"Error (smooth L1) of the predicted tokens, 1 to 5 model steps after as many frames as an agent can look at"
        f"{'' if base else ', with the actions between them'}, relative to the "
        "persistence baseline, which repeats the last of them; on "
        f"trajectories that no model was trained on ({count}). Below 100 % it knows something"
        f"{', though no actions are told to it' if base else ''}.\n"
    )
    told = {data: PredictionError.of(found) for data, found in errors.items()}
    head = ("environment", "frames seen", *(str(step) for step in range(1, 6)))
    yield from _table(head, [(data, str(error.context), *_percent(error)) for data, error in told.items()])
    yield ""
    yield from (f"Warning: {data}: {error.warning}.\n" for data, error in told.items() if error.warning)
    yield "## Data\n"
    sets = [stage for stage in facts["stages"] if stage["name"].startswith("collect ")]
    head = ("set", "environment", "policy", "episodes", "frames", "seed", "SHA-256 of main_data.hdf5")
    yield from _table(head, map(_data, sets))
    more = f", and {name} went on learning from the one called further" if f"collect {name} further" in stages else ""
    yield f"\nSets called unseen are for the errors above alone{more}. The encoder is fitted to frames of the others.\n"
    yield "## Settings\n"
    others = ("fit encoder", "train base", f"fit prior {name}", f"fit far {name}")
    for stage in facts["stages"]:
        if stage in trainings or stage["name"] in others:
            settings = ", ".join(f"{key}={_short(value)}" for key, value in stage["settings"].items())
            yield f"- {stage['name']}: `{settings}`"
    yield "\n## Time\n"
    yield from _table(("stage", "seconds", "on"), [_time(stage) for stage in facts["stages"]])
    yield "\nSeconds are those of all attempts together, also of those that were killed, to within five seconds each."


def _far(facts: Mapping[str, Any], found: Mapping[str, float]) -> str:
    error = f"{found['error']:.2f} nats on held-out trajectories, by chance {found['chance_error']:.2f}"
    if kept := facts.get("temporal_embedding"):
        return (
            f"a temporal embedding in {facts['weights']['temporal_embedding']} with {kept['num_frames']:,} frames of "
            f"the training data, for `SubgoalAgent`; which of many frames comes soon after another: {error}"
        )
    kept = facts["landmarks"]
    return (
        f"{kept['num_landmarks']:,} landmarks and {kept['num_edges']:,} edges of at most {kept['reach']:g} model steps "
        f"in {facts['weights']['landmarks']}, for `HierarchicalAgent`; the number of steps between two frames: {error}"
    )


def _env_id(stages: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str(stages[f"encode {name}"]["facts"]["env_id"])


def _percent(error: PredictionError) -> list[str]:
    return [f"{ratio:.1%} ({ahead:.3g} s)" for ratio, ahead in zip(error.relative_error, error.seconds, strict=True)]


def _data(stage: Mapping[str, Any]) -> Sequence[str]:
    settings, facts = stage["settings"], stage["facts"]
    name = stage["name"].removeprefix("collect ")
    counts = (f"{facts['episodes']:,}", f"{facts['frames']:,}")
    return (name, settings["env_id"], settings["policy"], *counts, str(settings["seed"]), f"`{facts['sha256'][:16]}…`")


def _time(stage: Mapping[str, Any]) -> Sequence[str]:
    attempts = stage["attempts"]
    total = sum(attempt["seconds"] for attempt in attempts)
    resumed = f" (resumed {len(attempts) - 1}×)" if len(attempts) > 1 else ""
    places = dict.fromkeys(
        ", ".join(
            [attempt["cpu"], f"{attempt['threads']} threads"]
            + ([attempt["gpu"]] if "gpu" in attempt else [])
            + [f"torch {attempt['torch']}"]
        )
        for attempt in attempts
    )
    return stage["name"], f"{total:,.0f}{resumed}", "; then ".join(places)


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_short(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else str(value)


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
