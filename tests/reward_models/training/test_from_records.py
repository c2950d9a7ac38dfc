"""Training on the real `Trainer`: the loss is the formula's, however it is batched, and what is saved is whole."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from raising import refused
from tiny_world import make_tokenizer, make_world, save_base
from transformers import AutoModelForTokenClassification, GPT2Config, GPT2LMHeadModel

from stepward.models import load_tokenizer
from stepward.records import Problem, Solution, StepLabels
from stepward.rendering import Renderer
from stepward.reward_models.heads import Head
from stepward.reward_models.model_dir import load_model
from stepward.reward_models.scorer import load_scorer
from stepward.reward_models.training.from_records import train_reward_model
from stepward.reward_models.training.settings import TrainingReport, TrainingSettings

QUICK = TrainingSettings("soft", epochs=1, batch=64, learning_rate=1e-3, warmup=0.0)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForTokenClassification.from_pretrained(folder).state_dict()


def train(base: Path, folder: Path, settings: TrainingSettings, seed: int = 0, count: int = 8) -> TrainingReport:
    return train_reward_model(base, *make_world(count, settings.kind), folder, settings, seed)


@pytest.mark.parametrize("kind", ["soft", "orm"])
def test_the_first_loss_is_that_of_separate_sequences(base: Path, tmp_path: Path, kind: str) -> None:
    report = train(base, tmp_path / "model", replace(QUICK, kind=kind))
    torch.manual_seed(0)
    model = load_model(base, Head("linear", 1)).eval()
    problems, solutions, labels = make_world(8, kind)
    renderer = Renderer(load_tokenizer(base))
    questions = {problem.id: problem.question for problem in problems}
    losses = []
    for solution, steps in zip(solutions, labels, strict=True):
        rendered = renderer.solution(questions[solution.problem_id], solution.steps)
        scores = torch.sigmoid(model(torch.tensor([rendered.ids])).logits[0, :, 0])
        for start, end, target in zip(rendered.starts, rendered.ends, steps.labels, strict=True):
            assert target is not None
            for position in range(start if kind == "orm" else end, end + 1):
                losses.append(-target * scores[position].log() - (1 - target) * (1 - scores[position]).log())
    assert report.losses[0] == pytest.approx(float(torch.stack(losses).detach().mean()), rel=1e-5)
    assert report.labelled == len(losses)


def test_gradient_accumulation_changes_neither_loss_nor_step(base: Path, tmp_path: Path) -> None:
    # One step of SGD, unclipped, moves the weights by the gradient: equal weights are equal gradients.
    found = {}
    for rows, passes in ((32, 1), (8, 4), (4, 8)):
        folder = tmp_path / f"{rows}x{passes}"
        settings = replace(QUICK, batch=rows, accumulation=passes, max_gradient=1e9)
        found[rows] = (_with_sgd(base, folder, settings).losses, weights(folder))
    losses, expected = found[32]
    for other, moved in (found[8], found[4]):
        assert other == pytest.approx(losses, rel=1e-5)
        for name, value in moved.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    torch.manual_seed(0)
    before = load_model(base, Head("linear", 1)).state_dict()
    assert any((value - before[name]).abs().max() > 1e-3 for name, value in expected.items())


def _with_sgd(base: Path, folder: Path, settings: TrainingSettings) -> TrainingReport:
    original = TrainingSettings.config
    with pytest.MonkeyPatch.context() as patch:

        def plain_sgd(self: TrainingSettings, folder: Path, seed: int) -> object:
            arguments = original(self, folder, seed)
            arguments.optim = "sgd"
            arguments.learning_rate = 1.0
            return arguments

        patch.setattr(TrainingSettings, "config", plain_sgd)
        return train(base, folder, settings)


def test_sharing_prefixes_changes_the_tokens_and_not_the_training(base: Path, tmp_path: Path) -> None:
    shared = train(base, tmp_path / "tree", replace(QUICK, batch=512))
    alone = train(base, tmp_path / "plain", replace(QUICK, batch=512, share_prefixes=False))
    assert shared.tokens < 0.6 * shared.plain_tokens == 0.6 * alone.tokens
    assert shared.losses == pytest.approx(alone.losses, rel=1e-5)
    first, second = weights(tmp_path / "tree"), weights(tmp_path / "plain")
    # Adam's first step is the gradient's sign: only where the gradient is noise around 0 may it differ.
    differing = sum(((first[name] - second[name]).abs() > 1e-4).sum() for name in first)
    assert differing < 0.01 * sum(value.numel() for value in first.values())


def test_it_learns_to_see_wrong_steps(base: Path, tmp_path: Path) -> None:
    settings = TrainingSettings("oracle", epochs=10, batch=16, learning_rate=5e-3)
    report = train(base, tmp_path / "model", settings, count=40)
    assert sum(report.losses[-5:]) < 0.2 * sum(report.losses[:5])
    problems, solutions, labels = make_world(20, "oracle", seed=9)
    scored = load_scorer(tmp_path / "model").score_solutions(problems, solutions)
    pairs = [
        pair for one, steps in zip(scored, labels, strict=True) for pair in zip(one.scores, steps.labels, strict=True)
    ]
    right = [(score > 0.5) == (label == 1.0) for score, label in pairs]
    assert sum(right) / len(right) > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(base: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(base, tmp_path / name, replace(QUICK, epochs=2, batch=8), seed)
    first, again, other = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["score.weight"], other["score.weight"])
    assert not torch.equal(first["model.norm.weight"], other["model.norm.weight"])


def test_the_folder_is_whole_and_plain_transformers_loads_it(base: Path, tmp_path: Path) -> None:
    report = train(base, tmp_path / "model", QUICK)
    assert not list(tmp_path.glob(".*")), "the temporary folder is gone"
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "model")
    assert model.config.num_labels == 1 and model.config.id2label == {0: "right"}
    assert model.dropout.p == 0
    assert list((tmp_path / "model").glob("*.safetensors"))
    saved = json.loads((tmp_path / "model" / "training.json").read_text())
    assert saved["losses"] == list(report.losses) and saved["settings"]["epochs"] == 1
    assert report.tokens_per_second > 0


def test_progress_is_told_of_each_step(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int]] = []
    world = make_world(8)
    train_reward_model(base, *world, tmp_path / "model", replace(QUICK, batch=16), 0, lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert capsys.readouterr().out == "", "the caller owns the screen"


def test_a_loss_that_is_no_number_stops_the_training_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    with refused("not_finite", field="loss"):
        train(base, tmp_path / "model", replace(QUICK, learning_rate=1e38, batch=4, max_gradient=1e38))
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_reward_model_is_replaced_and_nothing_else(base: Path, tmp_path: Path) -> None:
    train(base, tmp_path / "model", QUICK, seed=1)
    train(base, tmp_path / "model", QUICK, seed=2)
    assert load_scorer(tmp_path / "model").description.seed == 2
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with refused("file_exists", file=tmp_path / "thesis"):
        train(base, tmp_path / "thesis", QUICK)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_base_folder_that_cannot_be_used_is_named(base: Path, tmp_path: Path) -> None:
    with refused("file_not_found", file=tmp_path / "nowhere"):
        train(tmp_path / "nowhere", tmp_path / "model", QUICK)
    bare = save_base(tmp_path / "bare")
    for file in bare.glob("tokenizer*"):
        file.unlink()
    with refused("unreadable", file=bare):
        train(bare, tmp_path / "model", QUICK)
    empty = save_base(tmp_path / "empty")
    (empty / "model.safetensors").unlink()
    with refused("file_not_found", file=empty):
        train(empty, tmp_path / "model", QUICK)
    small = save_base(tmp_path / "small", vocab_size=50)
    with refused("mismatch", field="processing_class", names=(50,)):
        train(small, tmp_path / "model", QUICK)
    assert not (tmp_path / "model").exists()


def test_another_architecture_trains_the_same_way(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    shape = {"n_embd": 32, "n_layer": 1, "n_head": 1, "n_positions": 128, "vocab_size": len(tokenizer)}
    shape |= {"bos_token_id": 1, "eos_token_id": 2}
    GPT2LMHeadModel(GPT2Config(**shape)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    report = train(tmp_path / "gpt2", tmp_path / "model", QUICK)
    assert len(report.losses) == 1
    assert 0 < load_scorer(tmp_path / "model").score("Start at 1 plus 3", ["1 plus 1 gives 2"]).last < 1


def test_solutions_beyond_the_positions_of_the_model_are_counted_not_cut(tmp_path: Path) -> None:
    short = save_base(tmp_path / "short", max_position_embeddings=40)
    report = train(short, tmp_path / "model", QUICK)
    assert report.too_long > 0
    assert report.solutions + report.too_long == len(make_world(8)[1])


def test_solutions_without_a_label_are_counted(base: Path, tmp_path: Path) -> None:
    problems, solutions, labels = make_world(8, "soft")
    bare = [replace(one, labels=(None,) * len(one.labels)) for one in labels[:3]]
    report = train_reward_model(base, problems, solutions, [*bare, *labels[3:]], tmp_path / "model", QUICK, 0)
    assert (report.unlabelled, report.too_long, report.solutions) == (3, 0, len(solutions) - 3)
    assert json.loads((tmp_path / "model" / "training.json").read_text())["unlabelled"] == 3


def test_records_that_do_not_fit_stop_before_anything_is_written(base: Path, tmp_path: Path) -> None:
    problems, solutions, labels = make_world()
    wrong: Sequence[StepLabels] = [replace(labels[0], labels=(0.5,)), *labels[1:]]
    records: tuple[list[Problem], list[Solution], Sequence[StepLabels]] = (problems, solutions, wrong)
    with refused("mismatch", field="labels", names=(1,)):
        train_reward_model(base, *records, tmp_path / "model", QUICK, 0)
    assert not (tmp_path / "model").exists()
