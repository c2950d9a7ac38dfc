"""A classifier of pairs says which steps right solutions entail: each pair once, none truncated, its labels by name."""

import json
from pathlib import Path

import pytest
import torch
from raising import refused
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from stepward.labeling.entailment import EntailmentModel, nli_labels
from stepward.records import Solution, solution_id

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tom", "has", "pens", "no", "more", "gives", *"0123456789", ".", "+", "="]
MNLI = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT that classifies pairs, with a tokenizer of words; its weights are large."""
    path = tmp_path_factory.mktemp("nli")
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=24, **names).save_pretrained(path)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.9, id2label=MNLI,
        label2id={name: at for at, name in MNLI.items()},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(path)
    return path


def with_labels(folder: Path, to: Path, names: list[str]) -> Path:
    """A copy of the folder whose config has other names of labels."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    config = json.loads((to / "config.json").read_text())
    config["id2label"] = {str(at): name for at, name in enumerate(names)}
    config["label2id"] = {name: at for at, name in enumerate(names)}
    (to / "config.json").write_text(json.dumps(config))
    return to


PAIRS = [("tom has 3 pens", "tom has pens"), ("tom has 3 pens", "tom gives 1"), ("3", "no more pens . 4 + 4 = 8")]


def test_chances_are_those_of_the_model_read_alone(folder: Path) -> None:
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.inference_mode():
        alone = [float(model(**tokenizer(*pair, return_tensors="pt")).logits.softmax(-1)[0, 2]) for pair in PAIRS]
    assert max(alone) - min(alone) > 0.05
    for batch in (1, 2, 8):
        assert EntailmentModel(folder, batch=batch).probabilities(PAIRS) == pytest.approx(alone, abs=1e-5)


def test_a_pair_is_read_once(folder: Path) -> None:
    model = EntailmentModel(folder)
    first = model.probabilities([PAIRS[0], PAIRS[1], PAIRS[0]])
    assert first[0] == first[2] and model.asked == 2
    assert model.probabilities([PAIRS[1], PAIRS[2]])[0] == first[1]
    assert model.asked == 3 and model.probabilities([]) == []


def test_a_pair_that_is_too_long_is_counted_and_has_no_chance(folder: Path) -> None:
    model = EntailmentModel(folder)
    long = ("tom has pens " * 7, "tom has pens")
    assert model.probabilities([long, PAIRS[0]])[0] is None
    assert (model.too_long, model.asked) == (1, 1)
    assert EntailmentModel(folder, max_length=5).probabilities(PAIRS) == [None] * 3


def test_the_label_is_found_in_the_config_or_named(folder: Path, tmp_path: Path) -> None:
    given = EntailmentModel(folder).probabilities(PAIRS)
    assert EntailmentModel(folder, "ENTAILMENT").probabilities(PAIRS) == given
    others = EntailmentModel(folder, "NEUTRAL").probabilities(PAIRS)
    assert others != given
    unnamed = with_labels(folder, tmp_path / "unnamed", ["LABEL_0", "LABEL_1", "LABEL_2"])
    with refused("ambiguous", field="entailment", names=("LABEL_0, LABEL_1, LABEL_2",)):
        EntailmentModel(unnamed)
    assert EntailmentModel(unnamed, "LABEL_2").probabilities(PAIRS) == given
    two = with_labels(folder, tmp_path / "two", ["not_entailment", "neutral", "entailment"])
    assert EntailmentModel(two).probabilities(PAIRS) == given
    with refused("unknown_name", file=folder, field="entailment", names=("'entails'", "CONTRADICTION")):
        EntailmentModel(folder, "entails")


def test_a_folder_that_is_no_classifier_is_refused(folder: Path, tmp_path: Path) -> None:
    with refused("file_not_found", names=(tmp_path / "none",)):
        EntailmentModel(tmp_path / "none")
    torn = with_labels(folder, tmp_path / "torn", list(MNLI.values()))
    (torn / "model.safetensors").write_bytes(b"torn")
    with refused("unreadable", file=torn):
        EntailmentModel(torn)
    from transformers import BertModel

    headless = with_labels(folder, tmp_path / "headless", list(MNLI.values()))
    BertModel(BertConfig.from_pretrained(folder)).save_pretrained(headless)
    with refused("unreadable", file=headless, names=("classifier.bias",)):
        EntailmentModel(headless)


def attempt(*steps: str, correct: bool = False) -> Solution:
    return Solution(solution_id("p", steps), "p", steps, None, correct)


def test_a_step_is_right_if_one_of_a_right_solution_entails_it(folder: Path) -> None:
    model = EntailmentModel(folder)
    premises, steps = ["tom has 3 pens", "no more pens", "3"], ["tom gives 1", "tom has 9 pens", "Tom has 3  pens", "8"]
    chances = {step: model.probabilities([(premise, step) for premise in premises]) for step in steps}
    highest = [max(chance for chance in chances[step] if chance is not None) for step in steps]
    threshold = sorted(highest[:2] + highest[3:])[
        1
    ]  # one of the three that don't stand in the right solution is below it
    found = nli_labels([attempt(*premises, correct=True), attempt(*steps, "end")], model, threshold)
    expected = [float(chance > threshold) for chance in highest]
    expected[2] = 1.0  # it says what a right step says
    assert found.labels[1].labels == (*expected, 0.0) and found.labels[1].kind == "nli"
    assert 0.0 in expected and expected.count(1.0) >= 2


def test_a_step_that_could_not_be_read_has_no_label(folder: Path) -> None:
    long = "tom has 3 pens . " * 5
    solutions = [attempt("tom has 3 pens", "3", correct=True), attempt(long, "tom gives 1", "4")]
    found = nli_labels(solutions, EntailmentModel(folder), 0.999)
    assert found.labels[1].labels == (None, 0.0, 0.0)


def test_a_threshold_that_cannot_be_is_refused(folder: Path) -> None:
    with refused("bad_value", field="threshold", names=(1,)):
        nli_labels([], EntailmentModel(folder), 1.0)
