"""How rows were written is part of a model: what it is asked is written the same way, whichever way it is given."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from raising import refused
from tiny_world import make_tokenizer
from trained import QUIET
from typer.testing import CliRunner

from stepward import ORMConfig, ORMTrainer, RewardConfig, RewardTrainer, load_scorer
from stepward.cli import app
from stepward.pipeline.training.dataset import preference_row
from stepward.records import Message, Preference
from stepward.reward_models.data.answer_tokens import answer_tokens, as_trained, form_of_rows
from stepward.reward_models.model_dir import DESCRIPTION

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
ASKED = [(f"Start at {number}", f"plus {number} gives {2 * number}\nthe answer is {2 * number}") for number in range(6)]


def dialogue(question: str, good: str, bad: str) -> Preference:
    said = ((Message("user", question),), (Message("assistant", good),), (Message("assistant", bad),))
    return Preference("p", *said)


PREFERENCES = [dialogue(question, good, "wrong" + good[:8]) for question, good in ASKED]


def messages(turns: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def trained(base: Path, folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Any:
    """A Bradley-Terry model trained on rows and saved into the folder."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE
    settings = {"num_train_epochs": 6, "learning_rate": 3e-3, "per_device_train_batch_size": 3, **QUIET, **changes}
    args = RewardConfig(str(folder / "checkpoints"), **settings)
    trainer = RewardTrainer(base, args, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(folder))
    return trainer


@pytest.mark.parametrize("given", ["messages", "text"])
@pytest.mark.parametrize("chat", [False, True])
def test_rewards_are_those_of_the_training_rows(base: Path, tmp_path: Path, chat: bool, given: str) -> None:
    rows = [preference_row(str(place), one, chat) for place, one in enumerate(PREFERENCES)]
    trainer = trained(base, tmp_path, rows)
    expected = trainer.predict(rows)
    scorer = load_scorer(tmp_path)
    found = []
    for one in PREFERENCES:
        said = [messages(part) for part in (one.prompt, one.chosen, one.rejected)]
        prompt, *answers = said if given == "messages" else [part[0]["content"] for part in said]
        found.append([scorer.reward(prompt, answer) for answer in answers])
    np.testing.assert_allclose(found, expected.predictions, atol=1e-5)
    accuracy = np.mean([better > worse for better, worse in found])
    assert accuracy == pytest.approx(expected.metrics["test_pair_accuracy"])
    assert accuracy == 1.0, "a model that learnt nothing would pass by chance"


def test_the_two_ways_are_two_sequences(base: Path, tmp_path: Path) -> None:
    """Guards the test above."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE
    (question, answer) = ASKED[1]
    ids = {
        form: answer_tokens(tokenizer, *as_trained(question, answer, form, "")) for form in ("chat", "dialogue", "text")
    }  # type: ignore[arg-type]
    assert len(set(map(tuple, ids.values()))) == 3
    assert tokenizer.decode(ids["dialogue"]) == f"\n\nHuman: {question}\n\nAssistant: {answer}</s>"
    assert tokenizer.decode(ids["chat"]) == f"<user>{question}\n<assistant>{answer}\n"


@pytest.mark.parametrize("chat", [False, True])
def test_scoring_by_steps_in_bulk_and_from_the_shell_is_the_same(base: Path, tmp_path: Path, chat: bool) -> None:
    trained(base, tmp_path, [preference_row(str(place), one, chat) for place, one in enumerate(PREFERENCES)])
    scorer = load_scorer(tmp_path)
    expected = [scorer.reward(*asked) for asked in ASKED]
    assert scorer.reward_many([(question, [answer, answer.split("\n")]) for question, answer in ASKED]) == [
        pytest.approx([reward, reward], abs=1e-5) for reward in expected
    ]
    assert scorer.score(*ASKED[2]).last == pytest.approx(float(torch.sigmoid(torch.tensor(expected[2]))), abs=1e-5)
    rows = [
        {"problem_id": question, "solution_id": question, "problem": question, "solution": answer}
        for question, answer in ASKED
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["score", str(tmp_path), "--file", str(tmp_path / "rows.jsonl"), "--to", str(tmp_path / "scored.jsonl")]
    assert CliRunner().invoke(app, command).exit_code == 0
    scores = [json.loads(line)["score"] for line in (tmp_path / "scored.jsonl").read_text().splitlines()]
    assert scores == pytest.approx(expected, abs=1e-5)


def test_what_stands_between_prompt_and_answer_stands_there_when_asked(base: Path, tmp_path: Path) -> None:
    """Rows whose prompts end with a line end, and a caller who has the problem's text alone."""
    rows = [{"prompt": q + "\n", "chosen": good, "rejected": "wrong" + good} for q, good in ASKED]
    expected = trained(base, tmp_path, rows, num_train_epochs=1).predict(rows).predictions
    scorer = load_scorer(tmp_path)
    assert scorer.description.rendering.question_separator == "\n"
    for (question, answer), (reward, _) in zip(ASKED, expected, strict=True):
        assert scorer.reward(question, answer) == pytest.approx(reward, abs=1e-5)
        assert scorer.reward(question + "\n", answer) == pytest.approx(reward, abs=1e-5)


def test_an_outcome_model_of_whole_texts_reads_whole_texts(base: Path, tmp_path: Path) -> None:
    """A text of paragraphs is other tokens than its lines one by one."""
    rows = [
        {"prompt": question + "\n", "completion": answer.replace("\n", "\n\n"), "label": number % 2}
        for number, (question, answer) in enumerate(ASKED)
    ]
    args = ORMConfig(str(tmp_path / "checkpoints"), num_labels=1, num_train_epochs=1, learning_rate=1e-3, **QUIET)
    trainer = ORMTrainer(base, args, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path))
    logits = trainer.predict(rows).predictions[:, :, 0]
    last = [row[row != -100][-1] for row in logits]
    scorer = load_scorer(tmp_path)
    for row, logit in zip(rows, last, strict=True):
        found = scorer.score(row["prompt"], row["completion"])
        assert found.steps == pytest.approx((float(torch.sigmoid(torch.tensor(logit))),), abs=1e-5)
    steps = [{**row, "completions": row["completion"].split("\n\n")} for row in rows]
    split = [{name: row[name] for name in ("prompt", "completions", "label")} for row in steps]
    joined = [{**row, "completion": row["completion"].replace("\n\n", "\n")} for row in rows]
    assert trainer.evaluate(split)["eval_loss"] == pytest.approx(trainer.evaluate(joined)["eval_loss"], rel=1e-5)


CHAT = preference_row("chat", PREFERENCES[0], True)
MARKED = preference_row("marked", PREFERENCES[0], False)
PLAIN = {"id": "plain", "prompt": "Start", "chosen": "plus", "rejected": "wrong"}
IDS = {"id": "ids", "chosen_ids": [1, 2], "rejected_ids": [1, 3]}


@pytest.mark.parametrize(("first", "second"), [(CHAT, MARKED), (MARKED, CHAT), (MARKED, PLAIN), (PLAIN, CHAT)])
def test_rows_of_two_forms_are_refused(base: Path, tmp_path: Path, first: Any, second: Any) -> None:
    rows = [{name: row.get(name) for name in ("id", "prompt", "chosen", "rejected")} for row in (first, second)]
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE
    args = RewardConfig(str(tmp_path), **QUIET)
    with refused("mismatch", row=2, field="chosen"):
        RewardTrainer(base, args, train_dataset=rows, processing_class=tokenizer)
    with refused("mismatch", row=1, field="chosen"):
        RewardTrainer(base, args, train_dataset=rows[:1], eval_dataset=rows[1:], processing_class=tokenizer)


def test_the_form_is_told_from_the_first_rows() -> None:
    assert form_of_rows([CHAT]) == ("chat", "") and form_of_rows([MARKED]) == ("dialogue", "")
    assert form_of_rows([PLAIN]) == ("text", "") and form_of_rows([IDS]) == (None, "") == form_of_rows(None)
    assert form_of_rows([{**PLAIN, "prompt": None}, PLAIN]) == ("text", "")
    assert form_of_rows([{**PLAIN, "prompt": None}]) == ("answer", "")
    assert form_of_rows([{**PLAIN, "prompt": "Q: "}, {**PLAIN, "prompt": "R: "}]) == ("text", " ")
    assert form_of_rows([{**PLAIN, "prompt": "Q: "}, PLAIN]) == ("text", ""), "no one separator"


@pytest.mark.parametrize(
    ("form", "prompt", "answer", "code", "field"),
    [
        ("text", [{"role": "user", "content": "a"}], "b", "mismatch", "prompt"),
        ("text", None, [{"role": "user", "content": "a"}], "mismatch", "answer"),
        ("answer", "a", "b", "mismatch", "prompt"),
        ("chat", None, "b", "missing", "prompt"),
        ("dialogue", None, "b", "missing", "prompt"),
        ("dialogue", None, [{"role": "system", "content": "a"}], "not_writable", "answer"),
        ("dialogue", None, [{"role": "user"}], "wrong_type", "answer"),
        (None, "a", "b", "missing", "form"),
    ],
)
def test_what_cannot_be_written_in_the_models_form_is_refused(
    form: Any, prompt: Any, answer: Any, code: str, field: str
) -> None:
    with refused(code, field=field):
        as_trained(prompt, answer, form, "")


def test_a_model_of_token_ids_says_that_its_form_is_not_known(base: Path, tmp_path: Path) -> None:
    args = RewardConfig(str(tmp_path / "checkpoints"), num_train_epochs=1, learning_rate=1e-3, **QUIET)
    trainer = RewardTrainer(base, args, train_dataset=[IDS])
    trainer.train()
    trainer.save_model(str(tmp_path))
    with refused("missing", field="form"):
        load_scorer(tmp_path).reward("Start", "plus")
    said = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**said, "form": "text"}))
    assert isinstance(load_scorer(tmp_path).reward("Start", "plus"), float)
