"""A method, an exploit and an explore strategy from outside the package: registered, set, and held to the contract."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

METHOD = '''
from nmt_pbt.base.section import Count, Section
from nmt_pbt.search.methods.registry import MethodSpec, register_method


class FirstsSettings(Section):
    """Trials with the first draws, over and over."""

    different: Count = 2
    """How many different ones"""


def build(plan, section, seed, pairs_per_epoch, segments):
    from nmt_pbt.search.oracles.base import BudgetedOracle

    class FirstsOracle(BudgetedOracle):
        def choose(self, trial_id):
            return self.space.sample(self.seed, "initial", len(self.trials) % section.different)

    return FirstsOracle(**plan.oracle_arguments(seed, pairs_per_epoch))


register_method(MethodSpec("firsts", "Firsts", "constant", build, section="firsts", settings=FirstsSettings))
'''
STRATEGIES = """
from nmt_pbt.search.population.exploit import PresentScores, copy_of
from nmt_pbt.search.population.explore import UserExplore
from nmt_pbt.search.population.strategies import ExploitSpec, ExploreSpec, register_exploit, register_explore


class FollowBest(PresentScores):
    def choose(self, member, standings, random):
        best = standings.ranking.healthy()[-1]
        return copy_of(standings.state(best)) if best != member and standings.may_donate(best) else None


def keep(values, space, random):
    return values


register_exploit(ExploitSpec("follow-best", "everybody from the best", FollowBest))
register_explore(ExploreSpec("keep", "not at all", lambda: UserExplore(keep)))
"""
PROGRAM = """
import extension.method, extension.strategies
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from nmt_pbt.testing import check_method
from tests.run.cheap import CheapTask, cheap_settings, inline, opened, search
from pathlib import Path

assert TranslationSettings().search.firsts.different == 2
assert "firsts:" in dump_settings(load_settings())
try:
    load_settings(None, ["search.firsts.diferent=3"])
except Exception as error:
    assert "did you mean 'different'" in str(error), error
else:
    raise AssertionError("a misspelt setting was taken")
check_method("firsts", "search.firsts.different=3")
settings = cheap_settings(
    "search.methods=[firsts, pbt]",
    "search.firsts.different=3",
    "search.pbt.exploit=follow-best",
    "search.pbt.explore=keep",
)
settings.check_searches()
for method in settings.search.methods:
    folder = Path(method)
    with opened(folder) as journal:
        winner = search(method, settings, CheapTask(), inline(folder, CheapTask()), journal)
    assert winner is not None
    with opened(folder) as journal:
        assert search(method, settings, CheapTask(), inline(folder, CheapTask()), journal) == winner
    values = {str(record.values) for record in journal.records if hasattr(record, "values")}
    assert len(values) <= 4, values
"""


def test_what_is_registered_from_outside_is_searched_with(tmp_path: Path) -> None:
    package = tmp_path / "extension"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "method.py").write_text(METHOD)
    (package / "strategies.py").write_text(STRATEGIES)
    paths = f"import sys; sys.path[:0] = {[str(tmp_path), str(Path(__file__).parents[2])]}\n"
    done = subprocess.run(
        [sys.executable, "-c", paths + PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(METHOD.strip().splitlines()) <= 40


def test_plugins_are_imported_before_the_settings_that_name_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "my_method.py").write_text(METHOD)
    (tmp_path / "my.yaml").write_text("plugins: [my_method]\nsearch: {methods: [firsts], firsts: {different: 3}}\n")
    program = """
from pathlib import Path
from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
settings = load_settings(Path("my.yaml"))
settings.check_searches()
assert settings.search.firsts.different == 3
assert load_settings(None, ["plugins=[my_method]", "search.methods=[firsts]"]).plugins == ["my_method"]
try:
    load_settings(None, ["plugins=[my_mehtod]"])
except UsageError as error:
    assert "no module 'my_mehtod'" in str(error), error
else:
    raise AssertionError("a plugin that is not there was taken")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
