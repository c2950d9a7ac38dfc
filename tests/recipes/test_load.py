"""Recipes load with their overrides, and what is wrong with one is said by its field."""

from pathlib import Path

import pytest

from stepward.errors import StepwardError
from stepward.recipes.load import load_recipe, named_recipes
from stepward.recipes.schema import Recipe


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small recipe."""
    path = tmp_path / "mine.yaml"
    path.write_text("about: a test\nlabels:\n  eta: 5\nrewards: {seeds: [3, 4]}\n")
    return path


def test_every_named_recipe_is_valid_and_has_its_name() -> None:
    assert "tiny-cpu" in named_recipes()
    for name in named_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.about


def test_a_file_is_read_and_named_after_itself(file: Path) -> None:
    recipe = load_recipe(str(file))
    assert (recipe.name, recipe.about, recipe.labels.eta, recipe.rewards.seeds) == ("mine", "a test", 5.0, (3, 4))
    assert recipe.solutions == Recipe(name="x").solutions
    file.write_text("name: other\n")
    assert load_recipe(str(file)).name == "other"


def test_overrides_replace_fields(file: Path) -> None:
    overrides = [
        "labels.eta=7.5", "labels.kinds=hard,er", "rewards.seeds=[1]", "rewards.learning_rate=1e-4", "name=run-2",
        "evaluation.ns=8", "generator.model=/models/a,b", "problems.path=null", "problems.path=p.jsonl",
    ]  # fmt: skip
    recipe = load_recipe(str(file), overrides)
    assert (recipe.labels.eta, recipe.labels.kinds, recipe.rewards.seeds) == (7.5, ("hard", "er"), (1,))
    assert (recipe.rewards.learning_rate, recipe.name, recipe.evaluation.ns) == (1e-4, "run-2", (8,))
    assert (recipe.generator.model, recipe.problems.path) == ("/models/a,b", "p.jsonl")


def test_a_recipe_as_json_gives_the_same_recipe(file: Path) -> None:
    recipe = load_recipe(str(file))
    assert Recipe.model_validate(recipe.decisive()) == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["labels.etta=2"], r"unknown field labels\.etta; did you mean eta\?"),
        (["label.eta=2"], r"unknown field label; did you mean labels\?"),
        (["rewards.seed=2"], r"unknown field rewards\.seed; did you mean seeds\?"),
        (["rewards.zzz=2"], r"unknown field rewards\.zzz; expected one of base, seeds, epochs"),
        (["rewards.seeds.x=2"], r"rewards\.seeds"),
        (["labels.eta"], "expected field=value"),
        (["=2"], "expected field=value"),
        (["labels.eta.deep=1"], "eta is not a section"),
        (["labels.eta=[1"], "its value is not YAML"),
        (["labels.kinds=hard,["], "its value is not YAML"),
        (["labels=5"], r"labels: .*found 5"),
        (["labels.eta=0"], r"labels\.eta: .*greater than 0, found 0"),
        (["labels.eta=.nan"], r"labels\.eta: .*found nan"),
        (["labels.eta=.inf"], r"labels\.eta: .*finite number, found inf"),
        (["labels.kinds=[]"], r"labels\.kinds: .*at least 1 item"),
        (["labels.kinds=hard,medium"], r"labels\.kinds\.1: .*'hard', 'soft'.*found 'medium'"),
        (["labels.kinds=er,er"], r"labels\.kinds: a value stands twice"),
        (["rewards.seeds=0,0"], r"rewards\.seeds: a value stands twice"),
        (["evaluation.ns=1,1"], r"evaluation\.ns: a value stands twice"),
        (["solutions.reward=0"], r"solutions\.reward: .*greater than or equal to 1, found 0"),
        (["rollouts.completions=0"], r"rollouts\.completions: .*greater than or equal to 1, found 0"),
        (["evaluation.ns=0,1"], r"evaluation\.ns\.0: .*found 0"),
        (["solutions.test=16"], r"evaluation\.ns goes to 64, but solutions\.test draws 16"),
        (["problems.levels=[]"], r"problems\.levels: .*at least 1 item"),
        (["problems.levels=1,6"], r"problems\.levels\.1: .*found 6"),
        (["problems.path=p.jsonl", "labels.kinds=oracle"], "oracle needs problems.path: arithmetic"),
        (["generator.top_p=0"], r"generator\.top_p: .*found 0"),
        (["generator.temperature=-1"], r"generator\.temperature: .*found -1"),
        (["name=../x"], r"name: .*found '\.\./x'"),
        (["solutions.unit=2.5"], r"solutions\.unit: .*found 2\.5"),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected(file: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(StepwardError, match=message) as error:
        load_recipe(str(file), overrides)
    assert "\n" not in str(error.value)


def test_all_bad_fields_are_named_at_once(file: Path) -> None:
    with pytest.raises(StepwardError, match=r"rollouts\.completions: .*; labels\.eta: "):
        load_recipe(str(file), ["labels.eta=0", "rollouts.completions=0"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"labels: [1", r"mine\.yaml: not YAML"),
        (b"\tlabels: 1", r"mine\.yaml: not YAML"),
        (b"- labels", "expected fields with values, found list"),
        (b"hello", "expected fields with values, found str"),
        (b"", "expected fields with values, found"),
        (b"about: \xff", r"mine\.yaml: can't be read"),
        (b"!!python/object/apply:os.system ['true']", r"mine\.yaml: not YAML"),
        (b"1: 2", "1"),
        (b"labels:", "labels: .*found None"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(StepwardError, match=message) as error:
        load_recipe(str(file))
    assert "\n" not in str(error.value)


def test_a_missing_file_or_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepwardError, match=r"none\.yaml: no such file"):
        load_recipe(str(tmp_path / "none.yaml"))
    with pytest.raises(StepwardError, match=r"neither a named recipe \(.*tiny-cpu.*did you mean tiny-cpu\?"):
        load_recipe("tiny-cpus")
    with pytest.raises(StepwardError, match="can't be read"):
        (tmp_path / "folder.yaml").mkdir()
        load_recipe(str(tmp_path / "folder.yaml"))
