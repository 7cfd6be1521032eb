"""A world model's way to the Hugging Face Hub, with a model card made of the files that say what is known of it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..hub import hub_library, is_on_hub
from ..untrusted import AnyJson, Integer, ListOf, MapOf, Number, Record, Text, read_json
from .checkpoint import CONFIG, find_folder, packaged_models, save
from .world_model import WorldModel

CARD = "README.md"
_HEADS = ("environment", "protocol", "agent", "tasks", "success at the end", "success at any time")
_TAGS = ("world-model", "planning", "reinforcement-learning", "gymnasium")
_SUCCESS = ("success_end", "success_any")
_INTERVAL = Record({name: Number() for name in ("value", "low", "high")})
_ROW = Record(
    {"env": Text(), "agent": Text(), "tasks": Integer(low=1), **dict.fromkeys(_SUCCESS, _INTERVAL)},
    others=AnyJson(),
)
_HEADER = Record(
    {
        "tasks": Record({"env_id": Text()}, others=AnyJson()),
        "protocol": Record({"name": Text()}, others=AnyJson()),
        "seed": Integer(),
    },
    others=AnyJson(),
)
_REPORT = Record({"rows": ListOf(_ROW, least=1), "settings": ListOf(_HEADER, least=1)}, others=AnyJson())
_VALUES = ListOf(Number(low=0), least=1)
_RUN = Record({"settings": MapOf(AnyJson())}, others=AnyJson())
_RESULT = Record({}, {"error": _VALUES, "persistence_error": _VALUES, "seconds_ahead": _VALUES}, others=AnyJson())


def pretrained_name(folder_or_name: str | os.PathLike[str], revision: str | None) -> str:
    """Return what :func:`~.checkpoint.find_folder` takes, for ``from_pretrained``.

    Raises:
        ValueError: a revision of what is not on the Hub.
    """
    name = os.fspath(folder_or_name)
    if not is_on_hub(name) and (name in packaged_models() or Path(os.path.expanduser(name)).exists()):
        if revision is not None:
            raise ValueError(f"revision: only models of the Hub have one; {name!r} is here, got {revision!r}")
        return name
    return (name if is_on_hub(name) else f"hf://{name}") + (f"@{revision}" if revision else "")


def push_to_hub(
    model: WorldModel,
    repo: str,
    *,
    training: str | os.PathLike[str] | None = None,
    evaluations: Sequence[str | os.PathLike[str]] = (),
    datasets: Sequence[str] = (),
    license: str | None = None,
    private: bool = False,
    revision: str | None = None,
) -> str:
    """Publish a model; see :meth:`WorldModel.push_to_hub`."""
    hub = hub_library()
    with TemporaryDirectory(prefix="wmcontrol-") as temporary:
        folder = Path(temporary, "model")
        save(model, folder)
        text = model_card(
            model, folder, repo, training=training, evaluations=evaluations, datasets=datasets, license=license
        )
        (folder / CARD).write_text(text, encoding="utf-8")
        api = hub.HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=folder, revision=revision, commit_message="Upload a world model"
        )
    return str(commit.commit_url)


def model_card(
    model: WorldModel,
    folder: Path,
    repo: str,
    *,
    training: str | os.PathLike[str] | None = None,
    evaluations: Sequence[str | os.PathLike[str]] = (),
    datasets: Sequence[str] = (),
    license: str | None = None,
) -> str:
    """Return the text of a model's ``README.md``: metadata that the Hub reads, and tables for people.

    Args:
        model: that is published.
        folder: where it is saved.
        repo: its name on the Hub.
        training: see :meth:`WorldModel.push_to_hub`; so are ``evaluations``, ``datasets`` and ``license``.
        evaluations: folders of reports.
        datasets: names on the Hub.
        license: of the weights.

    Raises:
        OSError, ValueError: a file is missing or broken; it is named.
    """
    hub, name = hub_library(), repo.rpartition("/")[2]
    results, rows, envs = [], [], []
    for place in evaluations:
        found = read_json(Path(place) / "report.json", _REPORT)
        header, agent = found["settings"][0], found["rows"][0]  # the agent that was asked for comes first
        protocol, env_id = header["protocol"]["name"], header["tasks"]["env_id"]
        envs.append(agent["env"])
        for key, words in zip(_SUCCESS, _HEADS[-2:], strict=True):
            interval = agent[key]
            results.append(
                hub.EvalResult(
                    task_type="reinforcement-learning",
                    task_name=f"goal reaching, protocol {protocol}",
                    dataset_type=env_id,
                    dataset_name=agent["env"],
                    metric_type=key,
                    metric_name=words,
                    metric_value=interval["value"],
                    metric_args={
                        "interval_95": [interval["low"], interval["high"]],
                        "tasks": agent["tasks"],
                        "seed": header["seed"],
                    },
                )
            )
        rows += [
            [row["env"], protocol, row["agent"], f"{row['tasks']:,}", *(_share(row[key]) for key in _SUCCESS)]
            for row in found["rows"]
        ]
    metadata = hub.ModelCardData(
        library_name="wmcontrol",
        tags=[*_TAGS, *dict.fromkeys(envs)],
        license=license,
        datasets=list(datasets) or None,
        model_name=name,
        eval_results=results or None,
    )
    lines = [f"---\n{metadata.to_yaml()}\n---", "", f"# {name}", "", *_about(model, folder, repo)]
    if rows:
        lines += ["", "## Success", "", "With 95 % intervals.", "", *_table(_HEADS, rows)]
    if training is not None:
        lines += ["", *_training(find_folder(training))]
    return "\n".join(lines) + "\n"


def _about(model: WorldModel, folder: Path, repo: str) -> Iterator[str]:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    numbers = sum(parameter.numel() for parameter in model.predictor.parameters())
    rows, columns = model.grid
    yield "A latent world model, to plan with. Loading it runs no code of it."
    yield from ("", "```python", "from wmcontrol import WorldModel", "")
    yield f'model = WorldModel.from_pretrained("{repo}")'
    yield from ("```", "")
    predictor, encoder = config["predictor"], config["encoder"]
    yield from _table(
        ["", ""],
        [
            ["predictor", f"{predictor['type']}, {numbers:,} parameters: {_words(predictor['settings'])}"],
            ["encoder", f"{encoder['name']}, {rows} × {columns} tokens of {model.encoder.dim}"],
            ["frames", f"{model.frame_size[0]} × {model.frame_size[1]} pixels"],
            ["a model step", f"{model.frameskip} environment steps, {model.step_seconds:g} s"],
            ["planning", _words(config["planning"])],
        ],
    )


def _training(folder: Path) -> Iterator[str]:
    """Say how a model was trained: as a packaged model's card says it, or by the record of a run."""
    if (folder / "card.md").exists():
        text = (folder / "card.md").read_text(encoding="utf-8")
        yield text[text.index("\n## ") :].strip()
        return
    run, result = read_json(folder / "run.json", _RUN), read_json(folder / "result.json", _RESULT)
    if "error" in result:
        yield from ("## Held-out error", "")
        yield "Smooth L1 error of imagined tokens of held-out trajectories, over that of repeating the last frame."
        pairs = zip(result["error"], result["persistence_error"], strict=True)
        heads = [f"{seconds:.3g} s ahead" for seconds in result["seconds_ahead"]]
        yield from ("", *_table(heads, [[f"{model / last:.1%}" for model, last in pairs]]), "")
    about = {"data": result["data"]} if "data" in result else {}
    yield from ("## Training", "", "```json", json.dumps(run["settings"] | about, indent=1), "```")


def _share(interval: Mapping[str, float]) -> str:
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows)]
