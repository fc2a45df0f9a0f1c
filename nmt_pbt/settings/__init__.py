"""Settings of a run: one tree, read from YAML and `--set key=value`, checked before anything is built or written."""

from nmt_pbt.settings.corpus import CorpusSettings
from nmt_pbt.settings.engine import EngineSettings
from nmt_pbt.settings.evaluation import MOST_SAMPLES, EvaluationSettings
from nmt_pbt.settings.fingerprint import deciding_settings, settings_hash
from nmt_pbt.settings.hyperparameters import MUTABLE, SEARCHABLE, STRUCTURAL, check_value
from nmt_pbt.settings.loading import checked, dump_settings, load_settings
from nmt_pbt.settings.methods import (
    BayesSettings,
    GridSettings,
    HyperbandSettings,
    ManualSettings,
    PBTSettings,
    ReplaySettings,
)
from nmt_pbt.settings.model import ModelSettings
from nmt_pbt.settings.schedule import Segment, check_segments
from nmt_pbt.settings.search import SearchSettings
from nmt_pbt.settings.sections import ChoiceDomain, Domain, NumberDomain
from nmt_pbt.settings.training import TrainingSettings
from nmt_pbt.settings.tree import Settings, without_search

__all__ = [
    "MOST_SAMPLES",
    "MUTABLE",
    "SEARCHABLE",
    "STRUCTURAL",
    "BayesSettings",
    "ChoiceDomain",
    "CorpusSettings",
    "Domain",
    "EngineSettings",
    "EvaluationSettings",
    "GridSettings",
    "HyperbandSettings",
    "ManualSettings",
    "ModelSettings",
    "NumberDomain",
    "PBTSettings",
    "ReplaySettings",
    "SearchSettings",
    "Segment",
    "Settings",
    "TrainingSettings",
    "check_segments",
    "check_value",
    "checked",
    "deciding_settings",
    "dump_settings",
    "load_settings",
    "settings_hash",
    "without_search",
]
