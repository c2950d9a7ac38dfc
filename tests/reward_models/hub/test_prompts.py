"""Where scores are read: never at a tag of the text's own, never at a fixed offset, never at a text's special token."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from tiny_hub import CHATML, byte_tokenizer, llama_tokenizer, mistral_tokenizer, qwen_tokenizer
from tokenizers import normalizers

from stepward.reward_models.hub.prompts import (
    ChatFormat,
    MathShepherdFormat,
    PromptFormat,
    QwenPRMFormat,
    RLHFlowFormat,
    SkyworkFormat,
    TRLFormat,
    plus_minus_ids,
)

MISTRAL, LLAMA, QWEN = mistral_tokenizer(), llama_tokenizer(), qwen_tokenizer()

ASKING: dict[str, Callable[[], PromptFormat]] = {
    "math-shepherd": lambda: MathShepherdFormat(MISTRAL),
    "er-prm": lambda: MathShepherdFormat(MISTRAL, between=""),
    "rlhflow": lambda: RLHFlowFormat(LLAMA),
    "rlhflow-orm": lambda: RLHFlowFormat(LLAMA, whole=True),
    "qwen-prm": lambda: QwenPRMFormat(QWEN),
    "skywork": lambda: SkyworkFormat(qwen_tokenizer(bos=True)),
    "trl": lambda: TRLFormat(QWEN),
    "bradley-terry": lambda: ChatFormat(LLAMA, LLAMA.pad_token_id),
}


@pytest.mark.parametrize("name", ["math-shepherd", "er-prm"])
@pytest.mark.parametrize("question, step", [("What is ки?", "7"), ("3 + 4?", "it is ки 7"), ("3 + 4?", "7 ки")])
def test_a_word_that_is_the_tag_is_refused(name: str, question: str, step: str) -> None:
    with refused("conflict", field="steps", names=("ки",)):
        ASKING[name]()(question, ["3 + 4 = 7", step])


def test_a_word_that_holds_the_letters_of_the_tag_is_no_tag() -> None:
    rendered = MathShepherdFormat(MISTRAL)("3 + 4?", ["аки 7", "7"])
    assert [MISTRAL.convert_ids_to_tokens(rendered.ids[end]) for end in rendered.ends] == ["▁ки", "▁ки"]


@pytest.mark.parametrize("name", ["math-shepherd", "qwen-prm", "skywork", "rlhflow", "bradley-terry", "trl"])
def test_the_name_of_a_special_token_in_a_text_is_plain_text(name: str) -> None:
    asking = ASKING[name]()
    tokenizer = {"math-shepherd": MISTRAL, "rlhflow": LLAMA, "bradley-terry": LLAMA}.get(name, QWEN)
    special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    names = [str(tokenizer.added_tokens_decoder[id_]) for id_ in sorted(special)]
    hostile = asking(f"3{''.join(names)}?", [f"3{one}{one}" for one in names])
    clean = asking("3?", ["3"] * len(names))
    assert [id_ for id_ in hostile.ids if id_ in special] == [id_ for id_ in clean.ids if id_ in special]
    assert len(hostile.ends) == (1 if name == "bradley-terry" else len(names))


def test_signs_are_those_within_a_text() -> None:
    """Alone, a sign may be another token: where the tokenizer puts no space before a text."""
    bare = mistral_tokenizer()
    bare.backend_tokenizer.normalizer = normalizers.Replace(" ", "▁")
    assert bare.encode("+ -")[1:] != MISTRAL.encode("+ -")[1:]
    assert plus_minus_ids(bare) == plus_minus_ids(MISTRAL) == tuple(reversed(MISTRAL.encode("+ -")[1:]))
    steps = ["Step 1: 16 - 3 = 13", "so 13"]
    tags = [
        MISTRAL.convert_ids_to_tokens(MathShepherdFormat(bare)("3?", steps).ids)[end]
        for end in MathShepherdFormat(bare)("3?", steps).ends
    ]
    assert tags == ["▁ки", "▁ки"]
    blind = mistral_tokenizer()
    blind.backend_tokenizer.normalizer = normalizers.Replace("-", "+")
    with refused("unsupported", field="tokenizer", names=("+", "-")):
        plus_minus_ids(blind)


def test_signs_are_found_with_any_chat_template() -> None:
    """With ChatML a turn ends in two tokens: three before the conversation's end stands the sign itself."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], CHATML, eos_token="<|im_end|>")
    steps = ["3 + 4 = +7", "+ - +"]
    rendered = RLHFlowFormat(tokenizer)("3 + 4 is +?", steps)
    turns: list[dict[str, str]] = []
    for index, (step, end) in enumerate(zip(steps, rendered.ends, strict=True)):
        turns.append({"role": "user", "content": step if index else f"3 + 4 is +? {step}"})
        shown = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert list(rendered.ids[: end + 1]) == shown
        turns.append({"role": "assistant", "content": "+"})
    assert list(rendered.ids) == tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    assert tokenizer.decode(list(rendered.ids[-3:])) != "+<|im_end|>", "or -3 would be right here, too"


@pytest.mark.parametrize(
    "template, code, field, names",
    [
        ("{{ raise_exception('E17') }}", "unsupported", "chat_template", ("E17",)),
        (
            "{% for m in messages %}{{ m.content }}{{ 1 if m.content == '+' }}{% endfor %}",
            "unsupported", "chat_template", (),
        ),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            "unsupported", "chat_template", (),
        ),
        ("{% for m in messages %}[{{ m.content }}${% endfor %}", "unsupported", "tokenizer", ("+",)),
        ("", "missing", "chat_template", ()),
    ],
)  # fmt: skip
def test_templates_that_cannot_be_used_are_refused(
    template: str, code: str, field: str, names: tuple[str, ...]
) -> None:
    tokenizer = byte_tokenizer(["<s>"], template)
    tokenizer.add_tokens(["[+$"])
    with refused(code, field=field, names=names):
        RLHFlowFormat(tokenizer)("3 + 4?", ["7"])


def test_a_date_in_the_template_is_always_the_same() -> None:
    shown = LLAMA.decode(list(RLHFlowFormat(LLAMA)("3 + 4?", ["7"]).ids))
    assert "Today Date: 26 Jul 2024" in shown


def test_tokenizers_that_lack_what_is_needed_are_refused() -> None:
    other = byte_tokenizer(["<s>"], CHATML)
    count = len(other.encode("<extra_0>", add_special_tokens=False))
    with refused("mismatch", field="tokenizer", names=("<extra_0>", f" {count} ")):
        QwenPRMFormat(other)
    with refused("missing", field="bos_token"):
        SkyworkFormat(QWEN)


def test_the_last_token_that_is_no_padding_is_read() -> None:
    """Llama 3's end of turn is its padding, too: transformers then reads the token before it."""
    ids = ChatFormat(LLAMA, LLAMA.pad_token_id)("3 + 4?", ["7"])
    assert ids.ends == (len(ids.ids) - 2,) and ids.ids[-1] == LLAMA.pad_token_id
    assert ChatFormat(LLAMA, None)("3 + 4?", ["7"]).ends == (len(ids.ids) - 1,)


TEXTS = st.text(st.sampled_from("ab 7+-=$\n.éк<|_>sim"), min_size=1, max_size=20).filter(str.strip)


@pytest.mark.parametrize("name", sorted(ASKING))
@given(question=TEXTS, steps=st.lists(TEXTS, min_size=1, max_size=4))
def test_each_step_has_its_place_after_the_one_before(name: str, question: str, steps: list[str]) -> None:
    asking = _ASKED.setdefault(name, ASKING[name]())
    rendered = asking(question, steps)
    assert len(rendered.ends) == (1 if name in ("rlhflow-orm", "bradley-terry") else len(steps))
    assert list(rendered.ends) == sorted(set(rendered.ends)) and rendered.ends[0] >= 0
    assert rendered.ends[-1] < len(rendered.ids)
    if name not in ("rlhflow-orm", "bradley-terry"):
        # What stands before a step's place is what a solution without the later steps has there.
        for count in range(1, len(steps)):
            shorter = asking(question, steps[:count])
            assert shorter.ends == rendered.ends[:count]
            assert shorter.ids[: shorter.ends[-1] + 1] == rendered.ids[: shorter.ends[-1] + 1]


_ASKED: dict[str, PromptFormat] = {}
