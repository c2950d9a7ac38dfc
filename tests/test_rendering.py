"""The one rendering: the same solution gives the same ids wherever it is rendered."""

import pickle
import subprocess
import sys
from typing import Any

import pytest
from byte_tokenizer import ByteTokenizer
from hypothesis import given
from hypothesis import strategies as st
from raising import refused
from tiny_world import make_tokenizer

from stepward import rendering
from stepward.rendering import Renderer, Rendering, apply_template
from stepward.template_guard import LARGEST

texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(texts, st.lists(texts, min_size=1, max_size=5))
def test_a_solution_reads_as_its_text_and_marks_its_steps(question: str, steps: list[str]) -> None:
    tokenizer = ByteTokenizer()
    rendered = Renderer(tokenizer, Rendering(" Q ", " S ")).solution(question, steps)
    assert tokenizer.decode(list(rendered.ids)) == question + " Q " + " S ".join(steps)
    spans = zip(rendered.starts, rendered.ends, strict=True)
    assert [tokenizer.decode(list(rendered.ids[start : end + 1])) for start, end in spans] == steps


@given(texts, st.lists(texts, min_size=1, max_size=5), st.data())
def test_a_prefix_has_the_ids_and_positions_of_the_solution_it_begins(
    question: str, steps: list[str], data: st.DataObject
) -> None:
    renderer = Renderer(ByteTokenizer(opening=data.draw(st.booleans())))
    count = data.draw(st.integers(1, len(steps)))
    whole, part = renderer.solution(question, steps), renderer.solution(question, steps[:count])
    assert whole.ids[: len(part.ids)] == part.ids
    assert (whole.starts[:count], whole.ends[:count]) == (part.starts, part.ends)
    following = renderer.prefix(question, steps[:count])
    if count < len(steps):
        assert list(whole.ids[: len(following)]) == following
        assert len(following) == whole.starts[count]


def test_the_prompt_is_the_prefix_without_steps() -> None:
    renderer = Renderer(ByteTokenizer())
    assert renderer.prompt("How many?") == renderer.prefix("How many?", []) == [256, *b"How many?\n"]
    assert Renderer(ByteTokenizer(opening=False)).prompt("How many?") == list(b"How many?\n")


def test_a_repeated_segment_is_encoded_once() -> None:
    tokenizer = ByteTokenizer()
    renderer = Renderer(tokenizer)
    tokenizer.encoded = 0  # the separators
    for _ in range(3):
        renderer.solution("How many?", ["one", "two", "one"])
    assert tokenizer.encoded == len({"How many?", "one", "two"})


@pytest.mark.parametrize(
    ("question", "steps", "field", "names"),
    [
        ("Q", ["one", ""], "steps", ("step 2",)),
        ("Q", [" "], "steps", ("step 1",)),
        ("Q", [], "steps", ("Q",)),
        (" ", ["one"], "question", ()),
    ],
)
def test_nothing_to_score_is_refused(question: str, steps: list[str], field: str, names: tuple[str, ...]) -> None:
    with refused("empty", field=field, names=names):
        Renderer(ByteTokenizer()).solution(question, steps)


def test_a_step_that_the_tokenizer_has_no_tokens_for_is_refused() -> None:
    class Deaf(ByteTokenizer):
        def encode(self, text: str, **named: bool) -> list[int]:
            return [] if text == "…" else super().encode(text, **named)

    with refused("empty", field="steps", names=("…",)):
        Renderer(Deaf()).solution("Q", ["one", "…"])


def test_rendering_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, stepward.rendering; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_step_token_stands_after_each_step_and_is_what_is_scored() -> None:
    rendered = Renderer(ByteTokenizer(), Rendering("\n", "; ", "<+>")).solution("Q", ["one", "two"])
    assert bytes(rendered.ids[1:]) == b"Q\none<+>; two<+>"
    assert [rendered.ids[end] for end in rendered.ends] == [ord(">")] * 2
    assert [rendered.ids[start] for start in rendered.starts] == [ord("o"), ord("t")]


def test_a_special_token_that_a_question_names_is_text() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<step>"]})
    step = tokenizer.convert_tokens_to_ids("<step>")
    renderer = Renderer(tokenizer, Rendering(step_token="<step>"))
    asked = ["What is <step> or </s>?", "one <step>"]
    renderer.remember(asked)
    for question in asked:
        rendered = renderer.solution(question, ["one", "<step>"])
        assert [place for place, id_ in enumerate(rendered.ids) if id_ == step] == list(rendered.ends)
        assert tokenizer.eos_token_id not in rendered.ids


def test_texts_that_are_encoded_together_have_the_ids_they_have_alone() -> None:
    texts = ["How many?", "one", " two <s>", "\n"]
    together, alone = Renderer(make_tokenizer()), Renderer(make_tokenizer())
    together.remember(texts)
    assert [together._encode(text) for text in texts] == [alone._encode(text) for text in texts]
    assert pickle.loads(pickle.dumps(together)).prompt("How many?") == alone.prompt("How many?")


def test_a_text_in_the_place_of_steps_is_refused() -> None:
    renderer = Renderer(make_tokenizer())
    for render in (renderer.solution, renderer.prefix):
        with refused("wrong_type", field="steps", names=("2+2=4",)):
            render("What is 2 + 2?", "2+2=4")
        with refused("wrong_type", field="steps", names=("step 2",)):
            render("What is 2 + 2?", ["2+2=4", 4])  # type: ignore[list-item]
        with refused("wrong_type", field="question"):
            render(None, ["2+2=4"])  # type: ignore[arg-type]


def templated(template: Any) -> Any:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    return apply_template(tokenizer, [{"role": "user", "content": "Start"}])


def test_a_template_writes_the_messages() -> None:
    assert templated("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}") == "<user>Start"


LOOP = "{% for a in range(99999) %}"
ENDLESS = LOOP * 3 + "{% endfor %}" * 3
DOUBLING = (
    "{% set n = namespace(x='ab') %}" + LOOP * 2 + "{% set n.x = n.x ~ n.x %}{% set n.x = n.x[:99999999] %}"
    "{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize("template", [ENDLESS, DOUBLING])
def test_a_template_that_does_not_end_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "TEMPLATE_SECONDS", 0.2)
    with refused("too_large", field="chat_template", names=("0.2",)):
        templated(template)


def test_a_template_that_takes_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before its time is up; what it made is given back."""
    monkeypatch.setattr(rendering, "TEMPLATE_MEMORY", 1 << 26)
    monkeypatch.setattr(rendering, "TEMPLATE_SECONDS", 3600.0)
    growing = "{% set n = namespace(x=[]) %}" + LOOP + "{% set n.x = n.x + ['ab' * (9999999 + a)] %}{% endfor %}"
    with refused("too_large", field="chat_template"):
        templated(growing)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ('a' * 10000000000)|length }}",  # worked out where the template is compiled
        "{% set n = 10 ** 10 %}{{ (n * ['a'])|length }}",
        "{{ (9 ** (9 ** 9)) % 2 }}",
        "{{ ('%10000000000d' % 1)|length }}",
        "{{ ('%*d' % (10000000000, 1))|length }}",
        "{{ 'a'.ljust(10000000000)|length }}",
        "{{ '{:10000000000}'.format(1)|length }}",
        "{{ ('a'|center(10000000000))|length }}",
        "{{ ('%10000000000d'|format(1))|length }}",
        "{{ ''.ljust(10000000000)|length }}",
        "{{ '{:{}}'.format('x', '1000000000')|length }}",
        "{{ '{:{w}}'.format_map({'w': '1000000000'})|length }}",
        "{{ ('{0}' * 65536).format('x' * 32768)|length }}",
        "{{ (('%(a)s' * 65536) % {'a': 'x' * 32768})|length }}",
        "{{ (('%(a)9999999d' * 65536) % {'a': 1})|length }}",
        "{{ ('%(a(b)c)1000000000d' % {'a(b)c': 1})|length }}",
        "{{ ('x'.encode().rjust(1000000000))|length }}",
        "{{ ('%1000000000d'.encode() % 1)|length }}",
        "{{ ('\\t' * 65536).expandtabs(32768)|length }}",
        "{{ ('x' * 65536).replace('x', 'y' * 32768)|length }}",
        "{{ ('x' * 65536).translate({120: 'y' * 32768})|length }}",
        "{{ ('x' * 65536)|replace('x', 'y' * 32768)|length }}",
        "{{ ('y' * 32768).join('x' * 65536)|length }}",
        "{{ ('x' * 65536)|join('y' * 32768)|length }}",
        "{{ range(65536)|map('string')|join('y' * 32768)|length }}",
        "{{ ''.join(['y' * 32768] * 65536)|length }}",
        "{{ ([['y' * 32768] * 256] * 256)|string|length }}",
        "{{ ([[0] * 1024] * 8192)|sum(start=[])|length }}",
        "{{ ('\\n' * 65536)|indent('y' * 32768, blank=true)|length }}",
        "{{ ('x' * 65536)|wordwrap(1, wrapstring='y' * 32768)|length }}",
        "{{ [1]|batch(1000000000, 'x')|list|length }}",
        "{{ [1]|tojson(indent=1000000000)|length }}",
        "{{ 1|round(1000000000, 'ceil') }}",
        "{{ strftime_now('%1000000000d' + 'x' * 8388608)|length }}",
    ],
)
def test_one_operation_that_would_take_all_memory_is_not_begun(template: str) -> None:
    with refused("too_large", field="chat_template", names=(f"{LARGEST:,}",)):
        templated(template)


def test_operations_that_templates_use_are_done() -> None:
    template = "{{ '-' * 3 }}{{ 2 ** 3 }}{{ 7 % 4 }}{{ '%03d' % 5 }}{{ 'a'.ljust(2) }}|{{ '{:2}'.format('b') }}|"
    assert templated(template) == "---8300" + "5a |b |"
    template = (
        "{{ '{text}: {0:>3}'.format(1, text='a') }} {{ '%s-%5.1f%%' | format('b', 2) }} {{ 'x'|replace('x', 'y') }}"
    )
    assert templated(template) == "a:   1 b-  2.0% y"
    template = "{{ messages|map(attribute='role')|join(', ') }} {{ ', '.join(messages|map(attribute='content')) }}"
    assert templated(template) == "user Start"
    template = "{{ namespace(seed=123456789).seed }} {{ 123456789|tojson }} {{ 123456789|round|int }} {{ [1, 2]|sum }}"
    assert templated(template) == "123456789 123456789 123456789 3"


TURNS = """{%- set ns = namespace(last=messages|length - 1) -%}
{%- for message in messages[::-1] -%}
    {%- if message.role == "user" and not message.content.startswith('<tool_response>') -%}
        {%- set ns.last = messages|length - 1 - loop.index0 -%}
    {%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
    <{{ message.role }}>{{ message.content.split('</think>')[-1].lstrip('\\n').strip() }}
    {{- message.content|indent(2)|replace('%', '%%') }}{{ message.content|center(2) }}
{%- endfor -%}"""
"""What templates that take a thought off do to a message (Qwen3, DeepSeek-R1), and more."""


@pytest.mark.parametrize(
    "text",
    [
        "Compute: 12345678 + 1",
        "A map has a scale of 1:25000000.",
        "What is 15% of 20000000?",
        "at 10:30, 20000000 people",
        "{:123456789}",
    ],
)
def test_long_numbers_in_a_message_are_no_widths(text: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TURNS
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": f"a</think>{text}"}]
    shown = apply_template(tokenizer, messages)
    assert shown.startswith(f"<user>{text}") and f"<assistant>{text}" in shown
    tokenizer.chat_template = "{{ 'Q: {}'.format(messages[0].content) }}{{ '%s' % messages[0].content }}"
    assert apply_template(tokenizer, messages) == f"Q: {text}{text}"


def test_a_template_that_writes_or_is_too_much_is_refused() -> None:
    with refused("too_large", field="chat_template"):
        templated("{% for a in range(9999) %}{{ 'ab' * 999 }}{% endfor %}")
    with refused("too_large", field="chat_template"):
        templated("{# " + "x" * rendering.TEMPLATE_SIZE + " #}")


def test_a_template_that_cannot_write_the_messages_is_named() -> None:
    with refused("unsupported", field="chat_template", names=("no such thing",)):
        templated("{{ raise_exception('no such thing') }}")
    with refused("unsupported", field="chat_template"):
        templated("{% for m in %}")
    with refused("missing", field="chat_template"):
        templated(None)
