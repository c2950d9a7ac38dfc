"""Who chose what: ranks with their ties, the majority's candidate, and the examples of a page without scripts."""

from stepward.records import Problem, Solution
from stepward.report.data import Candidate, ProblemView
from stepward.report.run.examples import examples, judge


def _view(name: str, *rows: tuple[str, str | None, bool, int, float]) -> ProblemView:
    """Answers of one number are one to the grader here, `7` and `7.0`."""
    candidates = [
        Candidate(
            Solution(f"{name}/{key}", name, (key,), answer, right, copies),
            -1 if answer is None else int(float(answer)),
            ((total,),),
            (total,),
        )
        for key, answer, right, copies, total in rows
    ]
    return ProblemView(Problem(name, "?", "7"), candidates)


def test_equal_scores_go_to_the_smaller_id_and_no_answer_is_the_least_common() -> None:
    view = _view(
        "p", ("c", "5", False, 2, 0.5), ("a", "7", True, 1, 0.5), ("b", None, False, 9, 0.9), ("d", "7", True, 2, 0)
    )
    found = judge(view, 1)
    assert found.ranks == ((2,), (1,), (0,), (3,))
    assert found.favourites == (2,)
    assert found.usual == 3  # 7 is drawn three times, most often by d


def test_equally_common_answers_and_no_model() -> None:
    view = _view("p", ("a", "5", False, 2, 0.1), ("b", "7", True, 2, 0.2))
    found = judge(view, 0)
    assert found.favourites == () and found.ranks == ((), ()) and found.usual == 0
    assert examples([view], 0) == []


def test_texts_that_the_grader_calls_one_answer_vote_together_and_do_not_differ() -> None:
    view = _view("p", ("a", "5", False, 3, 0.1), ("b", "7", True, 2, 0.9), ("c", "7.0", True, 2, 0.8))
    found = judge(view, 1)
    assert view.candidates[found.usual].solution.correct  # 5 has more draws than either text of 7
    same = _view("same", ("a", "7.0", True, 1, 0.9), ("b", "7", True, 3, 0.1))
    assert examples([same], 1) == []
    silent = _view("silent", ("a", None, False, 1, 0.9), ("b", None, False, 3, 0.1))
    assert examples([silent], 1) == []


def test_examples_show_the_model_right_and_wrong_where_the_majority_is_another() -> None:
    views = [_view(f"same{i}", ("a", "7", True, 2, 0.9)) for i in range(3)]
    views += [_view(f"right{i}", ("a", "7", True, 1, 0.9), ("b", "5", False, 3, 0.1)) for i in range(9)]
    views += [_view(f"wrong{i}", ("a", "7", True, 3, 0.1), ("b", "5", False, 1, 0.9)) for i in range(9)]
    found = examples(views, 1)
    assert [one.view.problem.id for one in found] == ["right0", "right1", "right2", "wrong0", "wrong1"]
    assert [one.shown[0].solution.correct for one in found] == [True, True, True, False, False]
    assert all(one.shown[0].solution.answer != one.shown[1].solution.answer for one in found)
