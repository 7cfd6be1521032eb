"""The commands, one file each: a dataclass ``Config`` and a function ``run`` that calls one function of the library.

Files are imported when their command runs.
"""

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "collect": "collect trajectories in an environment with a policy",
    "compare": "compare the three ways of fine-tuning by planning: the paper's Table 4",
    "convert": "turn trajectories of another layout into a Minari data set",
    "demo": "from nothing to agents that plan, in minutes",
    "encode": "encode the frames of data sets once, for training",
    "evaluate": "judge an agent on tasks, under a protocol",
    "finetune": "train a predictor with actions, in one of three ways",
    "fit_decoder": "make a model's tokens visible: what plans imagine, in films",
    "fit_prior": "teach a model what to propose to planners",
    "fit_reward": "teach a model rewards, to plan for without a goal",
    "fit_steps_to_go": "teach a model how far frames are apart, for goals beyond one plan",
    "fit_temporal_embedding": "teach a model how hard it is to get from one frame to another, to plan by",
    "forecast": "forecast segmentation or depth, with floor and ceiling",
    "pretrain": "train a predictor without actions, on video",
    "record": "record random actions with their rewards in any environment",
    "returns": "judge an agent by rewards, where there are no goals",
    "scenes": "make clips of bodies that move, with masks and depths, and pairs of possible and impossible films",
    "show": "draw a contact sheet of a data set",
    "surprise": "tell films of what can happen from those of what cannot",
    "train_head": "train a head on tokens of labelled frames, for forecast",
    "visualize": "draw what a model foresees of a clip, and where it looks",
}
# Settings classes and functions of the library whose fields and arguments are keys of a command, beside those of its
# Config: all of them, or those that are named.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "compare": {
        "evaluation.protocols.Protocol": "",
        "compare.settings.Comparison": "base modes few_steps oracle_tasks training_seeds seed",
        "compare.run.compare": "jobs engine engine_address",
    },
    "evaluate": {
        "evaluation.protocols.Protocol": "",
        "evaluation.tasks.DatasetTasks": "split split_seed",
        "evaluation.evaluate.evaluate_and_report": "seed batch jobs videos",
    },
    "finetune": {"training.settings.FinetuneSettings": ""},
    "fit_decoder": {"training.decoding.fit_decoder": "num_frames shrink seed"},
    "fit_prior": {"training.prior.PriorSettings": ""},
    "fit_reward": {"training.rewards.fit_reward": "num_steps batch_size learning_rate width num_frames seed"},
    "fit_temporal_embedding": {"training.temporal_embedding.TemporalEmbeddingSettings": ""},
    "fit_steps_to_go": {"training.steps_to_go.StepsToGoSettings": ""},
    "pretrain": {"training.settings.PretrainSettings": ""},
    "record": {"data.recording.record": "num_episodes num_frames control_rate seed"},
    "returns": {"evaluation.returns.evaluate_returns": "num_episodes seed batch"},
    "scenes": {
        "scenes.saving.scene_sets": "",
        "scenes.saving.save_scenes": "jobs",
    },
    "train_head": {"forecasting.head_training.HeadSettings": ""},
    "visualize": {
        "forecasting.visualization.visualize": "trajectory start num_frames context_frames step query blocks",
    },
}
