"""The trainers as a user meets them: TRL's call, evaluation, streams, adapters, checkpoints, and what is refused."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, IterableDataset
from peft import LoraConfig
from raising import refused
from tiny_world import make_tokenizer, save_base
from trained import KINDS, QUIET, TRAINERS, Kind, rows_of, trainer_of
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    EvalPrediction,
)

from stepward import ORMConfig, ORMTrainer, PRMConfig, PRMTrainer, RewardConfig, RewardTrainer, load_scorer
from stepward.reward_models.training.peft import merged

ROWS = rows_of("prm")
LANES = [kind if kind in ("prm", "bt") else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
FLOATS = [{**row, "labels": [float(label) for label in row["labels"]]} for row in ROWS]


def config(folder: Path, **changes: Any) -> PRMConfig:
    return PRMConfig(str(folder), **{"num_train_epochs": 1, "learning_rate": 1e-3, **QUIET, **changes})


def test_it_is_called_as_trls_was(base: Path, tmp_path: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=2)
    tokenizer = AutoTokenizer.from_pretrained(base)
    data = Dataset.from_list([{**row, "labels": [label > 0.5 for label in row["labels"]]} for row in ROWS])
    args = config(tmp_path, max_length=200, max_completion_length=100, step_separator="\n", disable_dropout=True)
    trainer = PRMTrainer(model=model, args=args, train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    trainer.train()
    assert {"eval_loss", "eval_accuracy", "eval_auc", "eval_first_error_f1"} <= set(trainer.evaluate())


def test_the_first_loss_is_that_of_the_token_classifier(base: Path, tmp_path: Path) -> None:
    """TRL's layout and transformers' own loss, one sequence at a time, against ours in one row."""
    rows = [{**row, "labels": [label > 0.5 for label in row["labels"]]} for row in ROWS[:6]]
    trainer = PRMTrainer(base, config(tmp_path, per_device_train_batch_size=6), train_dataset=rows)
    classifier = AutoModelForTokenClassification.from_pretrained(base, num_labels=2)
    classifier.load_state_dict(trainer.model.state_dict())
    tokenizer, sums, count = AutoTokenizer.from_pretrained(base), 0.0, 0
    for row in rows:
        ids, labels = [tokenizer.bos_token_id, *tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]], []
        labels = [-100] * len(ids)
        for step, label in zip(row["completions"], row["labels"], strict=True):
            new = (
                tokenizer(step, add_special_tokens=False)["input_ids"]
                + tokenizer("\n", add_special_tokens=False)["input_ids"]
            )
            ids, labels = ids + new, [*labels, *([-100] * (len(new) - 1)), int(label)]
        found = classifier.eval()(torch.tensor([ids]), labels=torch.tensor([labels]))
        sums += float(found.loss) * len(row["labels"])
        count += len(row["labels"])
    trainer.train()
    assert trainer.losses[0] == pytest.approx(sums / count, rel=1e-5)


@pytest.mark.parametrize("kind", LANES)
def test_evaluation_does_not_depend_on_batches_and_its_loss_is_the_training_loss(
    base: Path, tmp_path: Path, kind: Kind
) -> None:
    rows = rows_of(kind)[:24]
    found = []
    for size in (1, 7, 24):
        trainer = trainer_of(base, tmp_path, kind, 24, per_device_eval_batch_size=size, per_device_train_batch_size=24)
        found.append(trainer.evaluate(rows))
    for name in (name for name in found[0] if "time" not in name and "second" not in name):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-4), name
        assert found[2][name] == pytest.approx(found[0][name], rel=1e-4), name
    trainer.train()
    assert trainer.losses[0] == pytest.approx(found[0]["eval_loss"], rel=1e-4)


def test_several_evaluation_sets_and_a_users_metrics(base: Path, tmp_path: Path) -> None:
    seen: list[EvalPrediction] = []

    def mine(prediction: EvalPrediction) -> dict[str, float]:
        seen.append(prediction)
        return {"mine": 7.0}

    trainer = PRMTrainer(
        base, config(tmp_path), train_dataset=ROWS, eval_dataset={"a": ROWS[:5], "b": ROWS[5:9]}, compute_metrics=mine
    )
    found = trainer.evaluate()
    assert found["eval_a_mine"] == found["eval_b_mine"] == 7.0 and found["eval_a_loss"] != found["eval_b_loss"]
    widest = max(len(row["labels"]) for row in ROWS[:5])
    assert seen[0].predictions.shape == (5, widest, 2) and seen[0].label_ids.shape == (5, widest)
    assert np.array_equal(seen[0].label_ids[0][: len(ROWS[0]["labels"])], np.float32(ROWS[0]["labels"]))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_evaluated_whether_raw_or_prepared(base: Path, tmp_path: Path, kind: Kind) -> None:
    rows = rows_of(kind)[:5]
    given = trainer_of(base, tmp_path, kind, eval_dataset=rows)
    prepared = given.eval_dataset
    expected = losses_of(given.evaluate())
    assert expected.keys() == {"eval_loss"}
    for one in (rows, prepared, list(prepared), prepared.select(range(5))):
        assert losses_of(given.evaluate(one)) == expected
        assert losses_of(given.predict(one).metrics) == {"test_loss": expected["eval_loss"]}
    several = given.evaluate({"raw": rows, "prepared": prepared, "train": rows})
    assert losses_of(several) == dict.fromkeys(
        ("eval_raw_loss", "eval_prepared_loss", "eval_train_loss"), expected["eval_loss"]
    )
    assert {"raw", "eval_train"} <= set(given.counts) and given.counts["train"].kept == 8
    assert len(given.predict(rows).predictions) == 5


def losses_of(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.endswith("_loss")}


def test_rows_to_evaluate_are_checked_and_counted_as_those_to_train_on(base: Path, tmp_path: Path) -> None:
    trainer = PRMTrainer(base, config(tmp_path, max_length=100, too_long="drop"), train_dataset=ROWS[:3])
    long = {**ROWS[0], "completions": ["plus " * 200] * len(ROWS[0]["labels"])}
    with pytest.warns(UserWarning) as said:
        trainer.evaluate([ROWS[0], long])
    counts = trainer.counts["eval"]
    assert (counts.kept, counts.fates, counts.first) == (1, {"kept": 1, "too long": 1}, {"too long": [2]})
    assert str(said[0].message) == counts.sentence()
    with refused("bad_value", row=1, field="labels[0]", names=(7,)):
        trainer.predict([{**ROWS[0], "labels": [7] * len(ROWS[0]["labels"])}])
    with refused("wrong_type", field="eval_dataset", names=("int",)):
        trainer.evaluate(7)


def test_a_training_set_among_those_evaluated_keeps_every_label(base: Path, tmp_path: Path) -> None:
    args = config(tmp_path, train_on_last_step_only=True)
    trainer = PRMTrainer(base, args, train_dataset=ROWS, eval_dataset={"train": ROWS[:3], "other": ROWS[3:6]})
    assert trainer.eval_dataset["train"]["labels"][0] == ROWS[0]["labels"]
    assert trainer.counts["train"].kept == len(ROWS) and trainer.counts["eval_train"].kept == 3


def test_best_of_n_is_told_where_rows_say_what_is_correct(base: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Start {number}", "completions": ["plus", word], "labels": [1, good], "correct": good}
        for number in range(4)
        for word, good in (("gives", True), ("wrong", False))
    ]
    trainer = PRMTrainer(
        base, config(tmp_path, num_train_epochs=20, learning_rate=1e-2), train_dataset=rows, eval_dataset=rows
    )
    assert trainer.evaluate().keys() >= {"eval_best_of_n_min", "eval_best_of_n_last", "eval_best_of_n_product"}
    trainer.train()
    assert trainer.evaluate()["eval_best_of_n_last"] == 1.0


def test_rows_may_be_streamed(base: Path, tmp_path: Path) -> None:
    stream = IterableDataset.from_generator(lambda: iter(FLOATS))
    args = config(tmp_path, max_steps=4, per_device_train_batch_size=4, num_train_epochs=3)
    streamed = PRMTrainer(base, args, train_dataset=stream)
    streamed.train()
    assert len(streamed.losses) == 4
    args = config(tmp_path, max_steps=4, per_device_train_batch_size=4, train_sampling_strategy="sequential")
    listed = PRMTrainer(base, args, train_dataset=ROWS)
    listed.train()
    assert streamed.losses == pytest.approx(listed.losses, rel=1e-5)


def test_streamed_rows_that_are_left_out_are_said_and_counted(base: Path, tmp_path: Path) -> None:
    unlabelled = {**FLOATS[0], "labels": [None] * len(FLOATS[0]["labels"])}
    long = {**FLOATS[0], "completions": ["plus " * 200] * len(FLOATS[0]["labels"])}
    rows = [FLOATS[0], long, unlabelled, *FLOATS[1:4]]
    args = config(tmp_path, max_steps=3, per_device_train_batch_size=2, max_length=100, too_long="drop")
    trainer = PRMTrainer(base, args, train_dataset=IterableDataset.from_generator(lambda: iter(rows)))
    with pytest.warns(UserWarning) as said:
        trainer.train()
    told = [str(one.message) for one in said if "streamed" in str(one.message)]
    assert len(told) == 3 and told[2] == trainer.counts["train"].sentence()
    assert "row 2 " in told[0] and "too long" in told[0] and "row 3 " in told[1] and "without a label" in told[1]
    fates = trainer.counts["train"].fates
    assert fates["kept"] >= 6 and fates["too long"] == fates["without a label"] == 2, "three steps read the rows twice"


def test_several_gpus_in_one_process_are_one_and_that_is_said(base: Path, tmp_path: Path) -> None:
    args = config(tmp_path)
    args._n_gpu = 4
    with pytest.warns(UserWarning, match=r"\b4 GPUs\b"):
        trainer = PRMTrainer(base, args, train_dataset=ROWS)
    assert trainer.args.n_gpu == 1


def test_tokenised_rows_train_as_text_does(base: Path, tmp_path: Path) -> None:
    text = PRMTrainer(base, config(tmp_path, train_sampling_strategy="sequential"), train_dataset=ROWS)
    rows = []
    for row in text.train_dataset:
        labels = np.full(len(row["input_ids"]), -100.0)
        labels[row["marks"]] = row["labels"]
        rows.append({"input_ids": row["input_ids"], "labels": labels.tolist()})
    tokenised = PRMTrainer(base, config(tmp_path, train_sampling_strategy="sequential"), train_dataset=rows)
    text.train()
    tokenised.train()
    assert text.losses == tokenised.losses


@pytest.mark.parametrize("kind", ["prm", "bt", "label tokens"])
def test_an_adapter_is_trained_merged_and_read_by_plain_transformers(base: Path, tmp_path: Path, kind: Kind) -> None:
    whole = trainer_of(base, tmp_path / "run", kind)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_dropout=0.0)
    trainer = type(whole)(str(base), whole.args, train_dataset=rows_of(kind), peft_config=lora)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert moved and all("lora" in name or "score" in name for name in moved)
    assert kind == "label tokens" or any("score" in name for name in moved), "a new head is trained whole"
    ids = torch.tensor([[1, 5, 9, 20]])
    expected = trainer.model(input_ids=ids, marks=torch.tensor([3])).logits.detach()
    merged(trainer.model).save_pretrained(tmp_path / "merged")
    if kind == "prm":
        plain = AutoModelForTokenClassification.from_pretrained(tmp_path / "merged").eval()(ids).logits[0, -1:]
    elif kind == "bt":
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").eval()
        plain = model(ids).logits
    else:
        tokenizer = make_tokenizer()
        asked = [tokenizer.encode(token, add_special_tokens=False)[0] for token in (" wrong", " plus")]
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()(ids).logits[0, -1:, asked]
    torch.testing.assert_close(plain, expected, rtol=1e-4, atol=1e-5)


def test_a_step_token_is_added_and_learnt(base: Path, tmp_path: Path) -> None:
    args = config(tmp_path / "run", step_token="<step>", add_step_token=True, prompt_separator="\n")
    trainer = PRMTrainer(base, args, train_dataset=ROWS)
    new = len(make_tokenizer())
    assert trainer.model.get_input_embeddings().weight.shape[0] >= new + 1
    trainer.train()
    trainer.save_model(str(tmp_path / "model"))
    scorer = load_scorer(tmp_path / "model")
    assert len(scorer.score("Start at 1 <step>", ["plus 2", "gives 3"]).steps) == 2
    ids = [one for row in trainer.train_dataset for one in row["input_ids"]]
    assert ids.count(new) == sum(len(row["labels"]) for row in ROWS)


@pytest.mark.parametrize("kind", LANES)
def test_training_goes_on_from_a_checkpoint_to_the_same_losses(base: Path, tmp_path: Path, kind: Kind) -> None:
    settings = {"num_train_epochs": 2, "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 3}
    whole = trainer_of(base, tmp_path / "a", kind, **settings)
    whole.train()
    again = trainer_of(base, tmp_path / "a", kind, **settings)
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-3"))
    assert again.losses == pytest.approx(whole.losses, rel=1e-6) and again.losses[:3] == whole.losses[:3]
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, rtol=1e-5, atol=1e-7)


def test_a_checkpoint_of_another_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    PRMTrainer(base, config(tmp_path, save_strategy="steps", save_steps=1, max_steps=1), train_dataset=ROWS).train()
    other = PRMTrainer(base, config(tmp_path, step_token=""), train_dataset=ROWS)
    for asked in (str(tmp_path / "checkpoint-1"), tmp_path / "checkpoint-1", True):
        with refused("changed", file=tmp_path / "checkpoint-1", field="rendering"):
            other.train(resume_from_checkpoint=asked)


def test_the_last_checkpoint_is_found_and_none_is_said(base: Path, tmp_path: Path) -> None:
    args = config(tmp_path, save_strategy="steps", save_steps=2, max_steps=5, save_total_limit=2)
    whole = PRMTrainer(base, args, train_dataset=ROWS)
    whole.train()
    again = PRMTrainer(base, args, train_dataset=ROWS)
    again.train(resume_from_checkpoint=True)
    assert again.losses == pytest.approx(whole.losses, rel=1e-6)
    (tmp_path / "checkpoint-5" / "stepward_losses.json").unlink()
    with refused("unreadable", file=tmp_path / "checkpoint-5" / "stepward_losses.json"):
        again.train(resume_from_checkpoint=True)
    with refused("file_not_found", file=tmp_path / "empty", field="resume_from_checkpoint"):
        PRMTrainer(base, config(tmp_path / "empty"), train_dataset=ROWS).train(resume_from_checkpoint=True)


def test_losses_are_those_of_the_last_training(base: Path, tmp_path: Path) -> None:
    trainer = PRMTrainer(base, config(tmp_path, max_steps=2, learning_rate=1e-8), train_dataset=ROWS)
    trainer.train()
    first = list(trainer.losses)
    trainer.train()
    assert trainer.losses == pytest.approx(first, rel=1e-5)


def test_the_folder_says_what_it_is(base: Path, tmp_path: Path) -> None:
    trainer = PRMTrainer(base, config(tmp_path), train_dataset=ROWS)
    trainer.save_model(str(tmp_path / "model"))
    said = json.loads((tmp_path / "model" / "stepward_reward_model.json").read_text())
    assert said["kind"] == "prm" and said["head"] == {"kind": "linear", "classes": 2, "label_tokens": []}
    assert not list((tmp_path / "model").glob("*.bin")), "no pickles beside the weights"


def test_three_classes_learn_neutral(base: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": "Start", "completions": [f"{number % 10} plus"], "labels": [float(number % 10 > 4)]}
        for number in range(30)
    ]
    for row in rows[::5]:
        row |= {"labels": [None], "neutral": [0]}
    args = config(tmp_path, num_labels=3, neutral="class", num_train_epochs=40, learning_rate=1e-2)
    trainer = PRMTrainer(base, args, train_dataset=rows)
    trainer.train()
    assert trainer.losses[-1] < 0.2 < trainer.losses[0]


def test_balanced_classes_weigh_the_same(base: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "Start", "completions": ["plus"], "labels": [float(number > 0)]} for number in range(10)]
    settings = {"per_device_train_batch_size": 10, "lr_scheduler_type": "cosine"}
    args = config(tmp_path, **settings, class_weight="balanced", num_train_epochs=20, learning_rate=3e-3, num_labels=1)
    trainer = PRMTrainer(base, args, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "model"))
    score = load_scorer(tmp_path / "model").score("Start", ["plus"]).last
    assert score == pytest.approx(0.5, abs=0.1), "nine to one, and yet a coin's chance"


@pytest.mark.parametrize("kind", KINDS)
def test_without_settings_there_are_the_defaults(
    base: Path, tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = TRAINERS[kind][0](str(base))
    assert type(trainer.args) is TRAINERS[kind][1] and Path(trainer.args.output_dir).name == "tmp_trainer"


@pytest.mark.parametrize(
    ("settings", "code", "field"),
    [
        ({"pack": "tree", "attention": "restarts"}, "bad_value", "attention"),
        ({"max_length": 0}, "bad_value", "max_length"),
        ({"num_labels": 5}, "bad_value", "num_labels"),
        ({"neutral": "class"}, "bad_value", "neutral"),
        ({"loss": "mse", "num_labels": 3}, "bad_value", "loss"),
        ({"class_weight": -1.0}, "bad_value", "class_weight"),
        ({"remove_unused_columns": True}, "conflict", "remove_unused_columns"),
        ({"add_step_token": True}, "bad_value", "step_token"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path: Path, settings: dict[str, Any], code: str, field: str) -> None:
    with refused(code, field=field):
        config(tmp_path, **settings)


def test_a_loss_that_is_no_number_stops_the_training(base: Path, tmp_path: Path) -> None:
    trainer = PRMTrainer(base, config(tmp_path, learning_rate=1e38, max_grad_norm=1e38), train_dataset=ROWS)
    with refused("not_finite", field="loss"):
        trainer.train()


def test_a_batch_without_labels_is_an_error_and_no_loss_of_0(base: Path, tmp_path: Path) -> None:
    trainer = PRMTrainer(base, config(tmp_path), train_dataset=ROWS)
    collate = trainer.data_collator

    def unlabelled(rows: Any) -> Any:
        batch = collate(rows)
        return {**batch, "weights": torch.zeros_like(batch["weights"])}

    trainer.data_collator = unlabelled
    with refused("empty", field="labels"):
        trainer.train()


def test_what_is_left_out_is_said(base: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning) as said:
        trainer = ORMTrainer(
            base,
            ORMConfig(str(tmp_path), max_length=40, **QUIET),
            train_dataset=[
                {"prompt": "Start", "completion": "plus", "label": True},
                {"prompt": "Start", "completion": "plus" * 60, "label": False},
                {"prompt": "Start", "completion": "wrong", "label": False},
            ],
        )
    counts = trainer.counts["train"]
    assert (counts.kept, counts.first) == (2, {"too long": [2]}) and str(said[0].message) == counts.sentence()


def test_a_tokenizer_without_padding_or_end_will_do(base: Path, tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    PRMTrainer(base, config(tmp_path, max_steps=1), train_dataset=ROWS, processing_class=tokenizer).train()
    tokenizer.eos_token = None
    args = RewardConfig(str(tmp_path), max_steps=1, **QUIET)
    RewardTrainer(base, args, train_dataset=rows_of("bt"), processing_class=tokenizer).train()


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    small = save_base(tmp_path / "small", vocab_size=50)
    with refused("mismatch", row=1, field="processing_class", names=(50,)):
        PRMTrainer(small, config(tmp_path), train_dataset=ROWS)


def test_nothing_is_written_to_the_screen_but_what_is_asked_for(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PRMTrainer(base, config(tmp_path, max_steps=1), train_dataset=ROWS)
    assert capsys.readouterr().out == ""
