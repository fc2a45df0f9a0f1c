"""The same search by Ray Tune's PopulationBasedTraining, around the same model, training and evaluation."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol import Calls, Stopwatch, Workload, serve
from search_task import read_task

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.task import TranslationTask
    from nmt_pbt.tasks.translation.training.trainable import TranslationTrainable


def build(workload: Workload, arguments: argparse.Namespace) -> Calls:
    """Prepare the corpus and start Ray; see `protocol.serve`."""
    import os

    import ray
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    from nmt_pbt.tasks.state import StateStore

    task = read_task(workload)
    settings = task.settings
    # Workers are new processes, which have to find the same modules.
    os.environ["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(__file__).resolve().parent)])
    # One trial at a time, as in our search; the others wait their turn, paused. At Ray's niceness of 15 its workers
    # would show what else the machine does.
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _system_config={"worker_niceness": 0})

    def train_function(config: Mapping[str, Any], task: TranslationTask) -> None:
        """Train until stopped, as Ray Tune's guide to PBT does: a function that begins from a checkpoint if given."""
        trainable = task.build({})
        checkpoint = tune.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                _load(trainable, Path(folder))
        trainable.set_hyperparameters(config)
        while True:
            metrics = _train_and_evaluate(trainable, task.pairs_per_epoch)
            with tempfile.TemporaryDirectory() as folder:
                _save(trainable, Path(folder))
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))

    class Live(tune.Trainable):
        """A class that can take over another trial without a new process, for `reuse_actors`."""

        def setup(self, config: Mapping[str, Any], task: TranslationTask) -> None:
            self.task = task
            self.trainable = task.build({})
            self.trainable.set_hyperparameters(config)

        def step(self) -> dict[str, Any]:
            return _train_and_evaluate(self.trainable, self.task.pairs_per_epoch)

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            _save(self.trainable, Path(checkpoint_dir))

        def load_checkpoint(self, checkpoint: str) -> None:
            _load(self.trainable, Path(checkpoint))
            self.trainable.set_hyperparameters(self.config)

        def reset_config(self, new_config: Mapping[str, Any]) -> bool:
            self.trainable.reset(task.settings.seed)
            self.trainable.set_hyperparameters(new_config)
            return True

    def _load(trainable: TranslationTrainable, folder: Path) -> None:
        trainable.load(StateStore(folder).load("state", (folder / "hash").read_text(encoding="utf-8")))

    def _save(trainable: TranslationTrainable, folder: Path) -> None:
        (folder / "hash").write_text(StateStore(folder).save("state", trainable.state()), encoding="utf-8")

    def search() -> Mapping[str, Any]:
        space = {name: tune.uniform(domain.min, domain.max) for name, domain in settings.search.space.items()}
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            hyperparam_mutations=space,
            quantile_fraction=settings.search.pbt.fraction,
            resample_probability=settings.search.pbt.resample_probability,
        )
        with tempfile.TemporaryDirectory() as folder:
            tuner = tune.Tuner(
                tune.with_resources(
                    tune.with_parameters(Live if arguments.live else train_function, task=task), {"cpu": 1}
                ),
                param_space=space,
                tune_config=tune.TuneConfig(
                    metric="val_bleu",
                    mode="max",
                    num_samples=settings.search.population,
                    scheduler=scheduler,
                    reuse_actors=arguments.live,
                ),
                run_config=tune.RunConfig(
                    stop={"training_iteration": round(settings.training.epochs)}, storage_path=folder, verbose=0
                ),
            )
            stopwatch = Stopwatch()
            results = tuner.fit()
            seconds = stopwatch.read()
            if results.errors:
                raise RuntimeError(f"a trial failed: {results.errors[0]}")
            frames = [result.metrics_dataframe for result in results]
            intervals = [float(value) for frame in frames for value in frame["work_seconds"]]
        return {**seconds, "intervals": intervals, "items": {}}

    return {"search": search}


def _train_and_evaluate(trainable: TranslationTrainable, pairs: int) -> dict[str, Any]:
    began = time.perf_counter()
    metrics = {**trainable.train(pairs), **trainable.evaluate().metrics}
    return {**metrics, "work_seconds": time.perf_counter() - began}


if __name__ == "__main__":
    # The last two are what ray[tune] needs beyond ray.
    serve(
        ["tensorflow", "keras", "ray", "pyarrow", "tensorboardX"],
        build,
        lambda parser: parser.add_argument("--live", action="store_true"),
    )
