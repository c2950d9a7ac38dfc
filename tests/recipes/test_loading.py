"""Recipes load with their overrides, and what is wrong with one is said by its field."""

from pathlib import Path

import pytest
from raising import refused

from stepward.recipes.loading import load_recipe, named_recipes
from stepward.recipes.run import Recipe
from stepward.recipes.yaml_files import parse_yaml


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
        "evaluation.ns=8", "generator.model=/models/a,b", "problems.question=null", "problems.path=p.jsonl",
    ]  # fmt: skip
    recipe = load_recipe(str(file), overrides)
    assert (recipe.labels.eta, recipe.labels.kinds, recipe.rewards.seeds) == (7.5, ("hard", "er"), (1,))
    assert (recipe.rewards.learning_rate, recipe.name, recipe.evaluation.ns) == (1e-4, "run-2", (8,))
    assert (recipe.generator.model, recipe.problems.path) == ("/models/a,b", "p.jsonl")


def test_a_recipe_as_json_gives_the_same_recipe(file: Path) -> None:
    recipe = load_recipe(str(file))
    assert Recipe.model_validate(recipe.fingerprint_fields()) == recipe


@pytest.mark.parametrize(
    ("overrides", "code", "field", "names"),
    [
        (["labels.etta=2"], "unknown_name", "labels.etta", ("eta",)),
        (["label.eta=2"], "unknown_name", "label", ("labels",)),
        (["rewards.seed=2"], "unknown_name", "rewards.seed", ("seeds",)),
        (["rewards.zzz=2"], "unknown_name", "rewards.zzz", ("base, seeds, epochs",)),
        (["rewards.seeds.x=2"], "wrong_type", "rewards.seeds.x", ("seeds",)),
        (["labels.eta"], "bad_value", "labels.eta", ("labels.eta=5",)),
        (["=2"], "bad_value", None, ("'=2'",)),
        (["labels.eta.deep=1"], "wrong_type", "labels.eta.deep", ("eta",)),
        (["labels.eta=[1"], "unreadable", None, ("labels.eta=[1",)),
        (["labels.kinds=hard,["], "unreadable", None, ("labels.kinds=hard,[",)),
        (["labels=5"], "wrong_type", "labels", (5,)),
        (["labels.eta=0"], "bad_value", "labels.eta", ("greater than 0", "found 0")),
        (["labels.eta=.nan"], "not_finite", "labels.eta", ("nan",)),
        (["labels.eta=.inf"], "not_finite", "labels.eta", ("inf",)),
        (["labels.kinds=[]"], "empty", "labels.kinds", ()),
        (["labels.kinds=hard,medium"], "unknown_name", "labels.kinds.1", ("'hard', 'soft'", "'medium'")),
        (["labels.kinds=er,er"], "bad_value", "labels.kinds", ()),
        (["rewards.seeds=0,0"], "bad_value", "rewards.seeds", ()),
        (["evaluation.ns=1,1"], "bad_value", "evaluation.ns", ()),
        (["solutions.reward=0"], "bad_value", "solutions.reward", (1, 0)),
        (["rollouts.completions=0"], "bad_value", "rollouts.completions", (1, 0)),
        (["evaluation.ns=0,1"], "bad_value", "evaluation.ns.0", (0,)),
        (["solutions.test=16"], "bad_value", None, ("evaluation.ns", 64, "solutions.test", 16)),
        (["problems.levels=[]"], "empty", "problems.levels", ()),
        (["problems.levels=1,6"], "bad_value", "problems.levels.1", (6,)),
        (["problems.set_aside=1"], "bad_value", "problems.set_aside", (1,)),
        (["problems.path=p.jsonl", "labels.kinds=oracle"], "bad_value", None, ("labels.kinds", "oracle", "arithmetic")),
        (["generator.top_p=0"], "bad_value", "generator.top_p", (0,)),
        (["generator.temperature=-1"], "bad_value", "generator.temperature", (-1,)),
        (["name=../x"], "bad_value", "name", ("'../x'",)),
        (["solutions.unit=2.5"], "wrong_type", "solutions.unit", (2.5,)),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected(
    file: Path, overrides: list[str], code: str, field: str | None, names: tuple[object, ...]
) -> None:
    with refused(code, field=field, names=names) as error:
        load_recipe(str(file), overrides)
    assert "\n" not in str(error.value)


def test_all_bad_fields_are_named_at_once(file: Path) -> None:
    with refused("bad_value", field="rollouts.completions", names=("rollouts.completions: ", "labels.eta: ")):
        load_recipe(str(file), ["labels.eta=0", "rollouts.completions=0"])


@pytest.mark.parametrize(
    ("content", "code", "row"),
    [
        (b"labels: [1", "unreadable", 1),
        (b"about: x\n\tlabels: 1", "unreadable", 2),
        (b"- labels", "wrong_type", None),
        (b"hello", "wrong_type", None),
        (b"", "wrong_type", None),
        (b"about: \xff", "unreadable", None),
        (b"!!python/object/apply:os.system ['true']", "unreadable", 1),
        (b"about: x\nlabels:\n  eta: 5\n  kinds: [er]\n  eta: 2\n", "duplicate", 5),
        (b"about: x\nlabels: {eta: 5}\nlabels: {kinds: [er]}\n", "duplicate", 3),
        (b"about: {a: 1, a: 1}", "duplicate", 1),
        (b"about:\n  1: a\n  0x1: b\n", "duplicate", 3),
        (b"about:\n  1: a\n  yes: b\n", "duplicate", 3),
        (b"about:\n  1: a\n  1.0: b\n", "duplicate", 3),
        (b"about:\n  ~: a\n  null: b\n", "duplicate", 3),
        (b"about: x\n!!seq b: 1\n", "unreadable", 2),
        (b"about: x\n!!map b: 1\n", "unreadable", 2),
        (b"about: x\n!!set b: 1\n", "unreadable", 2),
        (b"about: x\n!!omap b: 1\n", "unreadable", 2),
        (b"about: x\n!!pairs b: 1\n", "unreadable", 2),
        (b"about: x\n!!timestamp x: 1\n", "unreadable", 2),
        (b"about: x\n!!bool x: 1\n", "unreadable", 2),
        (b"about:\n  !!timestamp x\n", "unreadable", 2),
        (b"about:\n  !!bool x\n", "unreadable", 2),
        (b"about:\n  !!int ''\n", "unreadable", 2),
        (b"about:\n  - !!float ''\n", "unreadable", 2),
        (b"a: &a [1, *a]", "too_large", 1),
        (b"[" * 5000, "too_large", None),
        (b"about: " + b"x" * 1_000_000, "too_large", None),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(file: Path, content: bytes, code: str, row: int | None) -> None:
    file.write_bytes(content)
    with refused(code, file=file, row=row) as error:
        load_recipe(str(file))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "code", "field"), [("1: 2", "wrong_type", "1"), ("labels:", "wrong_type", "labels")]
)
def test_fields_that_are_none_of_a_recipe_are_refused(file: Path, content: str, code: str, field: str) -> None:
    file.write_text(content)
    with refused(code, field=field):
        load_recipe(str(file))


def test_aliases_are_counted_before_they_are_written_out(file: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for one, other in zip("bcdefghi", "abcdefgh", strict=True):
        bomb += f"{one}: &{one} [{', '.join(['*' + other] * 10)}]\n"
    file.write_text(bomb)
    with refused("too_large", file=file, row=5, names=("100,000",)):
        load_recipe(str(file))
    file.write_text("labels: &labels {eta: 5}\nrewards: {<<: {seeds: [1]}, epochs: 3}\nabout: 'x'\n")
    recipe = load_recipe(str(file))
    assert (recipe.labels.eta, recipe.rewards.seeds, recipe.rewards.epochs) == (5.0, (1,), 3)


def test_a_key_that_stands_twice_is_named_with_both_lines(file: Path) -> None:
    file.write_text("about: x\nrewards:\n  seeds: [1]\n  epochs: 1\n  seeds: [2]\n")
    with refused("duplicate", file=file, row=5, field="seeds", names=("line 5", "line 3")):
        load_recipe(str(file))


def test_a_missing_file_or_name_is_refused(tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path / "none.yaml"):
        load_recipe(str(tmp_path / "none.yaml"))
    with refused("unknown_name", field="tiny-cpus", names=("tiny-cpu?",)):
        load_recipe("tiny-cpus")
    (tmp_path / "folder.yaml").mkdir()
    with refused("unreadable", file=tmp_path / "folder.yaml"):
        load_recipe(str(tmp_path / "folder.yaml"))


def test_a_value_that_yaml_cannot_make_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("about: 2026-13-45\n")
    with refused("bad_value", file=tmp_path / "r.yaml"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_a_password_in_a_servers_address_is_in_no_recipe() -> None:
    with refused("bad_value", field="url") as raised:
        load_recipe("tiny-cpu", ["generator.engine=server", "generator.url=http://user:s3cret@127.0.0.1:9/v1"])
    assert "s3cret" not in str(raised.value)


def test_keys_that_only_look_alike_and_merged_ones_stay() -> None:
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\n1: one\n'1': text\n=: sign\n"
    assert parse_yaml(text, "text") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, 1: "one", "1": "text", "=": "sign"}


def test_of_a_field_that_is_set_twice_the_later_holds() -> None:
    assert load_recipe("tiny-cpu", ["seed=1", "name=x", "seed=2"]).seed == 2
