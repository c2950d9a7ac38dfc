"""For every format a good row, the fields that it needs, and faults that only its rows can have."""

from typing import Any

from stepward.records import SCHEMA_VERSION

GONE = object()
"""Instead of a value: the field is not there."""

STEPS = ["2 + 3 = 5", "5 + 4 = 10", "So it is 10"]
ASKED = "\n\nHuman: Sky?\n\nAssistant:"

GOOD: dict[str, dict[str, Any]] = {
    "stepward": {
        "record": "LabelledSolution", "schema": SCHEMA_VERSION, "question": "q?",
        "steps": STEPS, "labels": [1.0, None, 0.5], "neutral": [1], "parents": [-1, 0, 0], "reference": "9",
        "answer": None, "correct": False, "generator": "g", "source": "scan", "extra": "",
    },
    "math-shepherd": {"input": "Q? Step 1: a ки\nb ки", "label": "Q? Step 1: a +\nb -", "task": "MATH"},
    "er-prm": {"text": "Q? Step 1: a ки\nb ки", "value": [0.5, 1.0]},
    "rlhflow-prm": {"conversations": [
        {"role": "user", "content": "Q? Step 1: a"}, {"role": "assistant", "content": "+"},
        {"role": "user", "content": "b"}, {"role": "assistant", "content": "-"},
    ]},
    "rlhflow-orm": {"conversations": [
        {"role": "user", "content": "Q? Step 1: a"}, {"role": "assistant", "content": "+"},
    ]},
    "omegaprm": {
        "question": "Q?", "final_answer": "4", "question_id": "q",
        "reasoning_steps": [
            {"solution_prefix": "Q?", "mc_value": 0.5}, {"solution_prefix": "Q?\n\na", "mc_value": 0.5},
            {"solution_prefix": "Q?\n\na\n\nb", "mc_value": 1.0}, {"solution_prefix": "Q?\n\nc", "mc_value": 0.0},
        ],
    },
    "omegaprm-tree": {
        "question": "Q?", "final_answer": "4", "question_id": "q",
        "reasoning_steps": {
            "text": "Q?", "mc_value": 0.5,
            "children": [{"text": "a", "mc_value": 0.5, "children": [{"text": "b", "mc_value": 1.0, "children": []}]}],
        },
    },
    "prm800k": {
        "labeler": "a", "is_quality_control_question": False,
        "question": {"problem": "Q?", "ground_truth_answer": "4"},
        "label": {
            "steps": [
                {
                    "completions": [{"text": "a", "rating": 1}, {"text": "b", "rating": 0}],
                    "human_completion": None, "chosen_completion": 0,
                },
                {
                    "completions": [{"text": "c", "rating": -1}],
                    "human_completion": {"text": "h", "rating": None}, "chosen_completion": None,
                },
            ],
            "total_time": 5, "finish_reason": "solution",
        },
    },
    "trl-stepwise": {"prompt": "Q?", "completions": STEPS, "labels": [True, True, False]},
    "processbench": {
        "id": "a", "generator": "g", "problem": "Q?", "steps": STEPS, "final_answer_correct": True, "label": 1,
    },
    "prmbench": {
        "modified_question": "Q?", "modified_process": STEPS, "error_steps": [2], "original_process": STEPS[:1],
    },
    "big-bench-mistake": {"input": "Q?", "steps": STEPS, "target": "9", "answer": "10", "mistake_index": 1},
    "scan": {"question": "Q?", "steps": STEPS, "scores": [1.0, 0.5, 0.0]},
    "gsm8k-solutions": {
        "question": "Q?", "ground_truth": "2 + 3\nA: 5",
        "6b": {"is_correct": True, "solution": "2 + 3 = 5\nA: 5"},
        "175b": {"is_correct": False, "solution": "2 + 3 = 6\nA: 6"},
    },
    "llama-factory-preference": {
        "conversations": [{"from": "human", "value": "Sky?"}],
        "chosen": {"from": "gpt", "value": "Blue."}, "rejected": {"from": "gpt", "value": "Green."},
    },
    "hh-rlhf": {"chosen": f"{ASKED} Blue.", "rejected": f"{ASKED} Green."},
    "trl-preference": {
        "prompt": [{"role": "user", "content": "Sky?"}], "chosen": [{"role": "assistant", "content": "Blue."}],
        "rejected": [{"role": "assistant", "content": "Green."}], "margin": 1.5,
    },
    "gsm8k": {"question": "2 + 3?", "answer": "It is 5.\n#### 5"},
    "math": {"problem": "2 + 3?", "final_answer": "5", "level": 3, "subject": "Algebra"},
}  # fmt: skip

NEEDED: dict[str, dict[str, str]] = {
    "stepward": {
        "question": "text", "steps": "a list", "labels": "a list",
    },
    "math-shepherd": {"input": "text", "label": "text"},
    "er-prm": {"text": "text", "value": "a list"},
    "rlhflow-prm": {"conversations": "a list", "conversations[2]": "an object"},
    "rlhflow-orm": {"conversations": "a list", "conversations[1]": "an object"},
    "omegaprm": {"question": "text", "reasoning_steps": "a list", "reasoning_steps[1]": "an object"},
    "omegaprm-tree": {
        "question": "text", "reasoning_steps": "an object", "reasoning_steps.children": "a list",
    },
    "prm800k": {
        "question": "an object", "label": "an object", "question.problem": "text", "label.steps": "a list",
        "label.steps[0].completions[0].text": "text",
    },
    "trl-stepwise": {"prompt": "text", "completions": "a list", "labels": "a list"},
    "processbench": {
        "problem": "text", "steps": "a list", "label": "a whole number", "final_answer_correct": "true or false",
        "generator": "text",
    },
    "prmbench": {"modified_question": "text", "modified_process": "a list", "error_steps": "a list"},
    "big-bench-mistake": {
        "input": "text", "steps": "a list", "target": "text", "answer": "text", "mistake_index": "a whole number",
    },
    "scan": {"question": "text", "steps": "a list", "scores": "a list"},
    "gsm8k-solutions": {
        "question": "text", "ground_truth": "text", "6b.solution": "text", "6b.is_correct": "true or false",
    },
    "llama-factory-preference": {"conversations": "a list", "conversations[0].value": "text"},
    "hh-rlhf": {"chosen": "text", "rejected": "text"},
    "trl-preference": {"chosen": "text or a list", "rejected": "text or a list"},
    "gsm8k": {"question": "text", "answer": "text"},
    "math": {"problem": "text", "final_answer": "text"},
}  # fmt: skip

Fault = tuple[dict[str, Any], str | None, str | None]
"""What is changed in the good row, the field that is named, and a part of the reason; None for a row that is good."""


def _of_index(field: str, steps: str = "3") -> list[Fault]:
    """An error index past the end, below the start, no whole number."""
    return [
        ({field: 3}, field, f"step 3 of {steps} steps"), ({field: -2}, field, f"step -2 of {steps} steps"),
        ({field: 10**20}, field, "step 100000000000000000000 of"), ({field: True}, field, "found true or false"),
        ({field: 1.0}, field, "expected a whole number"), ({field: "1"}, field, "found text"),
        ({field: 2}, None, None), ({field: 0}, None, None),
    ]  # fmt: skip


def _of_steps(field: str) -> list[Fault]:
    """No steps, an empty step, a step that is none."""
    return [
        ({field: []}, field, "empty; expected at least one step"), ({f"{field}[1]": ""}, f"{field}[1]", "empty"),
        ({f"{field}[1]": " \t"}, f"{field}[1]", "empty"), ({f"{field}[1]": None}, f"{field}[1]", "found null"),
        ({f"{field}[0]": ["a"]}, f"{field}[0]", "found a list"), ({f"{field}[0]": " ки +\n#### \\boxed{"}, None, None),
    ]  # fmt: skip


def _of_labels(field: str) -> list[Fault]:
    """Labels that are no shares, or not one a step."""
    at = f"{field}[0]"
    return [
        ({at: 1.5}, at, "1.5 is outside 0 to 1"), ({at: -0.001}, at, "is outside 0 to 1"),
        ({at: 10**400}, at, "is outside 0 to 1"), ({at: "1"}, at, "expected a label from 0 to 1, found text"),
        ({at: None}, at, "found null"), ({at: [1]}, at, "found a list"), ({at: GONE}, field, "labels for"),
        ({field: []}, field, "0 labels for"), ({field: [1] * 4}, field, "4 labels for"),
    ]  # fmt: skip


def _of_tags(field: str) -> list[Fault]:
    return [
        ({field: "Q? Step 1: a"}, field, "no step tag; expected ки after each step"),
        ({field: "Q? ки\n ки"}, field, "step 2 is empty"),
    ]


def _of_turns() -> list[Fault]:
    last, sign = "conversations[1]", "conversations[1].content"
    return [
        ({sign: "0"}, sign, "found '0'; expected + or -"), ({sign: " +"}, sign, "expected + or -"),
        ({sign: ""}, sign, "empty"), ({sign: 1}, sign, "expected text, found a number"), ({sign: "-"}, None, None),
        ({last: GONE}, "conversations", "turns; expected a sign after each"),
        ({"conversations": []}, "conversations", "0 turns"), ({"conversations[0].content": ""}, None, "empty"),
        ({"conversations[0].role": "system"}, "conversations[0].role", "found 'system'; expected 'user'"),
        ({f"{last}.more": 1}, last, "expected role, content"), ({f"{last}.role": GONE}, last, "expected role, content"),
        ({"conversations[0].content": "no numbers"}, None, None),
    ]  # fmt: skip


_PRM = "label.steps[0].completions[0]"
_SECOND = "reasoning_steps[1]"
_CHILD = "reasoning_steps.children[0]"

OWN: dict[str, list[Fault]] = {
    "stepward": [
        *_of_labels("labels")[:2], ({"labels": [1]}, "labels", "1 labels for 3 steps"),
        ({"record": "Step"}, "record", "is none of"), ({"schema": 99}, "schema", "reads schema"),
        ({"neutral": [0]}, "neutral", "expected a step without a label"), ({"neutral": [3]}, "neutral", "step 3 of 3"),
        ({"parents": [0, 0, 0]}, "parents[0]", "expected -1 or the index of a step before"),
        ({"correct": None, "answer": "9"}, None, None),
    ],
    "math-shepherd": [
        *_of_tags("input"), ({"input": "Q? Step 1: a ки and b"}, "input", "text after the last step tag"),
        ({"label": "Q? Step 1: a +\nb"}, "label", "differs from input at step 2"),
        ({"label": "Q? Step 1: a +\nb 0"}, "label", "differs from input at step 2"),
        ({"label": "Q? Step 1: a +\nb -."}, "label", "differs from input after the last step"),
        ({"label": ""}, "label", "empty"), ({"task": GONE}, None, None), ({"task": None}, None, None),
    ],
    "er-prm": [*_of_tags("text"), *_of_labels("value"), ({"text": "Q? Step 1: a ки\nb"}, None, None)],
    "rlhflow-prm": _of_turns(),
    "rlhflow-orm": _of_turns(),
    "omegaprm": [
        ({f"{_SECOND}.mc_value": 1.5}, f"{_SECOND}.mc_value", "outside 0 to 1"),
        ({f"{_SECOND}.mc_value": None}, f"{_SECOND}.mc_value", "found null"),
        ({f"{_SECOND}.mc_value": GONE}, _SECOND, "expected solution_prefix, mc_value"),
        ({f"{_SECOND}.solution_prefix": "a"}, f"{_SECOND}.solution_prefix", "expected the question"),
        ({f"{_SECOND}.solution_prefix": "Q?"}, f"{_SECOND}.solution_prefix", "the question alone may come first"),
        ({f"{_SECOND}.solution_prefix": "Q? \n"}, f"{_SECOND}.solution_prefix", "adds only white space"),
        ({f"{_SECOND}.more": 1}, _SECOND, "expected solution_prefix"), ({"final_answer": 4}, "final_answer", "text"),
        ({"final_answer": None}, None, None), ({"question": "R?"}, None, "expected the question"),
    ],
    "omegaprm-tree": [
        ({f"{_CHILD}.mc_value": 2}, "reasoning_steps(node 1).mc_value", "outside 0 to 1"),
        ({f"{_CHILD}.mc_value": None}, "reasoning_steps(node 1).mc_value", "found null"),
        ({f"{_CHILD}.text": ""}, "reasoning_steps(node 1).text", "empty"),
        ({f"{_CHILD}.children": None}, "reasoning_steps(node 1).children", "found null"),
        ({f"{_CHILD}.children": [3]}, "reasoning_steps(node 2)", "expected an object"),
        ({f"{_CHILD}.more": 1}, "reasoning_steps(node 1)", "expected text, mc_value, children"),
        ({"reasoning_steps.text": "R?"}, "reasoning_steps.text", "differs from the question"),
        ({"reasoning_steps.mc_value": None}, None, None), ({"reasoning_steps.mc_value": -1}, None, "outside 0 to 1"),
        ({"final_answer": [4]}, "final_answer", "expected text or null"),
    ],
    "prm800k": [
        *[({f"{_PRM}.rating": value}, f"{_PRM}.rating", "unknown rating") for value in (2, "1", True, 0.5)],
        ({f"{_PRM}.rating": GONE}, f"{_PRM}.rating", "missing; expected -1, 0, 1 or null"),
        ({f"{_PRM}.rating": None}, None, None), ({f"{_PRM}.text": " "}, f"{_PRM}.text", "empty"),
        ({"label.finish_reason": "bored"}, "label.finish_reason", "found 'bored'"),
        *[
            ({"label.steps[0].chosen_completion": value}, "label.steps[0].chosen_completion", "an index of the 2")
            for value in (2, -1, True, 0.0)
        ],
        ({"label.steps[0].chosen_completion": None}, "label.steps[1]", "none was chosen in the stage before"),
        ({"label.steps": []}, None, None),
    ],
    "trl-stepwise": [*_of_steps("completions"), *_of_labels("labels"), ({"prompt": ""}, None, None)],
    "processbench": [*_of_steps("steps"), *_of_index("label"), ({"label": -1}, None, None)],
    "prmbench": [
        *[({"error_steps": [2, value]}, "error_steps[1]", reason) for value, reason in (
            (4, "4 points past the end of the 3 steps"), (0, "0 is no step"), (-1, "-1 is no step"),
            (True, "found true or false"), (1.0, "expected a whole number"), ("2", "found text"), (None, "found null"),
        )],
        ({"error_steps": []}, None, None), ({"error_steps": [3, 2, 2]}, None, None),
        ({"modified_process[1]": ""}, None, None),
        ({"modified_process[1]": 5}, "modified_process[1]", "found a number"),
        ({"modified_process": []}, "modified_process", "empty"),
    ],
    "big-bench-mistake": [*_of_steps("steps"), *_of_index("mistake_index"), ({"mistake_index": None}, None, None)],
    "scan": [*_of_steps("steps"), *_of_labels("scores")],
    "gsm8k-solutions": [
        ({"ground_truth": "five"}, "ground_truth", "no reference answer; expected a line 'A: <answer>'"),
        ({"ground_truth": "A: "}, "ground_truth", "no reference answer"), ({"6b": "A: 5"}, "6b", "found text"),
        ({"6b": None}, "6b", "found null"), ({"6b.is_correct": 1}, "6b.is_correct", "found a number"),
        ({"6b.is_correct": None}, "6b.is_correct", "found null"), ({"6b.solution": "\n"}, "6b.solution", "empty"),
        ({"6b.more": 1}, "6b", "expected an object with is_correct and solution"),
        ({"6b": GONE, "175b": GONE}, "", "no solutions"), ({"6b": GONE}, None, None),
    ],
    "llama-factory-preference": [
        ({"chosen": "Blue."}, "chosen", "found text"), ({"chosen.from": "bot"}, "chosen.from", "'bot' is none of"),
        ({"chosen.value": None}, "chosen.value", "found null"), ({"rejected": GONE}, "rejected", "missing"),
        ({"rejected.value": "Blue."}, "rejected", "the same as chosen"), ({"chosen.more": 1}, "chosen", "alone"),
        ({"conversations": []}, "conversations", "an empty one"), ({"chosen.value": ""}, None, None),
        ({"conversations[0].from": ""}, "conversations[0].from", "empty"), ({"system": "Be kind."}, None, None),
    ],
    "hh-rlhf": [
        ({"chosen": ""}, "chosen", "empty"), ({"chosen": "Blue."}, "chosen", "expected a dialogue"),
        ({"chosen": "Human: Sky?"}, "chosen", "expected a dialogue"), ({"rejected": ASKED}, None, None),
        ({"rejected": f"{ASKED} Blue."}, "rejected", "the same as chosen"), ({"chosen": f"{ASKED}Blue."}, None, None),
        ({"rejected": "\n\nHuman: Sea?\n\nAssistant: Green."}, "rejected", "shares no turn with chosen"),
        ({"rejected": None}, "rejected", "found null"),
    ],
    "trl-preference": [
        ({"chosen": "Blue."}, "rejected", "expected both alike"), ({"prompt": "Sky?"}, "prompt", "expected all alike"),
        ({"prompt": 3}, "prompt", "expected text or a list"), ({"margin": "1"}, "margin", "found text"),
        ({"margin": True}, "margin", "found true or false"), ({"margin": 2**60}, "margin", "no float holds exactly"),
        ({"margin": None}, None, None), ({"prompt": GONE}, None, None), ({"chosen": []}, "chosen", "an empty one"),
        ({"chosen[0].role": 1}, "chosen[0].role", "found a number"), ({"chosen[0].role": ""}, None, "empty"),
        ({"chosen[0].content": "Green."}, "rejected", "the same as chosen"),
        ({"chosen[0].tool_calls": []}, "chosen[0]", "role and content alone"), ({"chosen[0]": None}, None, "null"),
    ],
    "gsm8k": [
        ({"answer": "5"}, "answer", "no reference answer"), ({"answer": "####"}, "answer", "no reference answer"),
        ({"answer": "#### \n5"}, "answer", "no reference answer"), ({"answer": ""}, "answer", "empty"),
        ({"question": " "}, "question", "empty"), ({"answer": None}, "answer", "found null"),
        ({"answer": "#### 5 ####"}, "answer", "no reference answer"), ({"answer": "#### -5"}, None, None),
    ],
    "math": [
        *[({"level": value}, "level", "expected a whole number below 1,000") for value in (
            "hard", 3.0, True, 10**6, "Level ٣", "Level 9999", [3])],
        ({"level": "Level ?"}, None, None), ({"subject": 3}, "subject", "expected text or null"),
        ({"final_answer": ""}, "final_answer", "empty"), ({"unique_id": 5}, "unique_id", "expected text or null"),
        ({"final_answer": GONE, "solution": "5"}, "solution", "no reference answer; expected it in a \\boxed{}"),
        ({"final_answer": GONE, "solution": "\\boxed{5"}, "solution", "no reference answer"),
        ({"final_answer": None, "solution": "\\boxed{5}"}, None, None), ({"problem": ""}, "problem", "empty"),
    ],
}  # fmt: skip
