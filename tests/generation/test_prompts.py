"""A problem is put to a model as the recipe says, in ids and in text alike."""

from itertools import pairwise
from typing import Any

import pytest
from byte_tokenizer import ByteTokenizer
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from tiny_world import make_tokenizer

from stepward.generation.prompts import PromptBuilder, PromptTemplate, messages, text
from stepward.rendering import Renderer

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORKED = (("1 plus 1", "1 plus 1 gives 2\nthe answer is 2"),)
SHOWN = PromptTemplate(system="Be brief.", examples=WORKED, question="Problem: {question}")

lines = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1).filter(str.strip)


@pytest.fixture(scope="module")
def chatty() -> Any:
    """A tokenizer with ChatML's marks and template."""
    tokenizer: Any = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    return tokenizer


def decoded(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


@given(lines, st.lists(lines, max_size=4))
def test_without_options_a_problem_is_rendered_as_everywhere(question: str, steps: list[str]) -> None:
    for opening in (True, False):
        tokenizer = ByteTokenizer(opening)
        assert PromptBuilder(tokenizer).ids(question, steps) == Renderer(tokenizer).prefix(question, steps)
    assert text(PromptTemplate(), question, steps).encode() == bytes(
        PromptBuilder(ByteTokenizer(False)).ids(question, steps)
    )


@given(lines, st.lists(lines, max_size=4), st.booleans())
def test_examples_and_system_without_chat_are_blocks_of_text(question: str, steps: list[str], opening: bool) -> None:
    tokenizer = ByteTokenizer(opening)
    ids = PromptBuilder(tokenizer, SHOWN).ids(question, steps)
    expected = f"Be brief.\n\nProblem: 1 plus 1\n1 plus 1 gives 2\nthe answer is 2\n\nProblem: {question}\n" + "".join(
        f"{step}\n" for step in steps
    )
    assert tokenizer.decode(ids) == expected == text(SHOWN, question, steps)
    assert ids.count(256) == opening and (not opening or ids[0] == 256)


def test_a_system_text_alone_is_a_block(chatty: Any) -> None:
    assert text(PromptTemplate(system="Be brief."), "1 plus 1", ()) == "Be brief.\n\n1 plus 1\n"


@pytest.mark.parametrize("prompting", [SHOWN, PromptTemplate(chat=True, system="be brief", examples=WORKED)])
def test_ids_of_prefixes_nest(prompting: PromptTemplate, chatty: Any) -> None:
    prompter = PromptBuilder(chatty, prompting)
    steps = ["1 plus 2 gives 3", "then 3 plus 1", "the answer is 4"]
    found = [prompter.ids("1 plus 2", steps[:end]) for end in range(4)]
    for shorter, longer in pairwise(found):
        assert longer[: len(shorter)] == shorter and len(longer) > len(shorter)


def test_chat_shows_every_turn_and_opens_the_assistants(chatty: Any) -> None:
    prompting = PromptTemplate(True, "be brief", WORKED, "Solve {question}")
    ids = PromptBuilder(chatty, prompting).ids("1 plus 2", ("1 plus 2 gives 3",))
    turns = messages(prompting, "1 plus 2", ())
    plain = chatty.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert decoded(chatty, ids) == plain + "1 plus 2 gives 3\n"
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert decoded(chatty, ids).count("<|im_start|>") == 5
    assert chatty.bos_token_id not in ids, "the template writes what opens a sequence"


def test_messages_end_with_the_steps_to_be_continued() -> None:
    found = messages(PromptTemplate(True, question="Q: {question}"), "1 plus 2", ("one", "two"))
    assert found == [{"role": "user", "content": "Q: 1 plus 2"}, {"role": "assistant", "content": "one\ntwo\n"}]


@pytest.mark.parametrize("chat", [True, False])
def test_a_special_token_that_a_problem_names_is_text(chat: bool, chatty: Any) -> None:
    sly = "a<|im_end|>b</s>"
    plain, named = (
        PromptBuilder(chatty, PromptTemplate(chat, said, ((said, said),))).ids(said, (said,)) for said in ("a", sly)
    )
    for special in ("<|im_start|>", "<|im_end|>", "</s>"):
        id_ = chatty.convert_tokens_to_ids(special)
        assert named.count(id_) == plain.count(id_)
    assert decoded(chatty, named).count(sly) == 5, "system, example and its solution, question, step"


def test_a_turn_that_reads_like_the_templates_mark_stays_a_turn(chatty: Any) -> None:
    ids = PromptBuilder(chatty, PromptTemplate(True, "stepwardturn1mark")).ids("stepwardturn0mark", ())
    assert decoded(chatty, ids) == (
        "<|im_start|>system\nstepwardturn1mark<|im_end|>\n"
        "<|im_start|>user\nstepwardturn0mark<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_tokenizer_without_chat_template_is_refused() -> None:
    tokenizer: Any = make_tokenizer()
    tokenizer.name_or_path = "models/some-base"
    with refused("unsupported", field="prompt.chat", names=("models/some-base",)):
        PromptBuilder(tokenizer, PromptTemplate(chat=True))


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ raise_exception('System role not supported') }}", ("System role not supported",)),
        ("{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}", ("0 times",)),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", ("2 times",)),
        ("{% for m in messages | reverse %}{{ m.content }}{% endfor %}", ("1 times",)),
        ("{{ messages[0].content[9999].x }}", ("9999",)),
    ],
)
def test_a_template_that_cannot_show_every_turn_is_refused(template: str, names: tuple[str, ...]) -> None:
    tokenizer: Any = make_tokenizer()
    tokenizer.chat_template = template
    with refused("unsupported", field="chat_template", names=("system", *names)):
        PromptBuilder(tokenizer, PromptTemplate(chat=True, system="be brief"))


def test_templates_are_told_not_to_think_and_no_date() -> None:
    tokenizer: Any = make_tokenizer()
    tokenizer.chat_template = "{{ date_string }}{{ messages[0].content }}{% if enable_thinking %} think{% endif %}"
    assert (
        decoded(tokenizer, PromptBuilder(tokenizer, PromptTemplate(chat=True)).ids("1 plus 1", ()))
        == "26 Jul 20241 plus 1"
    )


@pytest.mark.parametrize(("opened", "closed"), [("<think>\n", "</think>"), ("[THINK]", "[/THINK]")])
def test_a_thought_that_a_template_opens_is_closed_before_the_first_step(opened: str, closed: str) -> None:
    tokenizer: Any = ByteTokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}|" + opened
    tokenizer.apply_chat_template = lambda turns, **_: turns[0]["content"] + "|" + opened
    written = bytes(PromptBuilder(tokenizer, PromptTemplate(chat=True)).ids("1 plus 1", ("is 2.",))).decode()
    assert written.endswith(f"1 plus 1|{opened}\n{closed}\n\nis 2.\n")


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_question_or_example_is_refused(empty: str) -> None:
    framed = PromptTemplate(question="Problem: {question}")
    for ask in (text, messages):
        with refused("empty", field="question"):
            ask(framed, empty, ())
    with refused("empty", field="question"):
        PromptBuilder(ByteTokenizer(), framed).ids(empty, ())
    with refused("empty", row=1, field="prompt.examples.solution"):
        PromptBuilder(ByteTokenizer(), PromptTemplate(examples=(("Q", empty),)))
    with refused("empty", row=2, field="prompt.examples.question"):
        messages(PromptTemplate(True, examples=(*WORKED, (empty, "A"))), "Q", ())
    with refused("empty", names=("step 1 of 1",)):
        PromptBuilder(ByteTokenizer(), SHOWN).ids("Q", (empty,))
