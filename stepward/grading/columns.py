"""Which fields of a row are graded, and the pair of reference and answer that they hold."""

from dataclasses import dataclass

from stepward.answer_extraction import STYLES, extract_answer, reference_fault
from stepward.errors import StepwardError
from stepward.rows import InvalidRow, SourceRow, json_type

REFERENCE_FIELDS = ("reference", "gold", "ground_truth", "final_answer", "expected_answer", "expected", "target")
ANSWER_FIELDS = ("answer", "pred", "prediction", "predicted_answer", "model_answer")
RESPONSE_FIELDS = ("response", "completion", "solution", "generation")
"""Fields that are looked for, in this order, where the caller names none."""

ADDED = ("extracted", "equal", "method", "reason")
"""The fields that a graded row has more."""


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """What the caller says of the fields.

    Attributes:
        reference: The field of the reference answer; None to guess it.
        answer: The field of the answer, likewise.
        response: The field of a text that states the answer, instead of `answer`.
        style: How a response marks its answer (`stepward.answer_extraction.STYLES`, or auto).
        reference_style: How the reference's text marks it; None where the reference is the answer.
        prefix: Stands before the names of the added fields.
        of_math: Whether references are checked for being mathematics that can be read.
    """

    reference: str | None = None
    answer: str | None = None
    response: str | None = None
    style: str = "auto"
    reference_style: str | None = None
    prefix: str = ""
    of_math: bool = True

    def check(self) -> None:
        """Refuse what can't be meant.

        Raises:
            StepwardError: Both an answer and a response are named, or a style is unknown.
        """
        if self.answer is not None and self.response is not None:
            raise StepwardError(
                f"--answer {self.answer!r} and --response {self.response!r}: only one can hold the answer; name one",
                code="conflict",
                field="--answer",
            )
        for style in (self.style, self.reference_style or "auto"):
            if style != "auto" and style not in STYLES:
                raise StepwardError(
                    f"unknown answer style {style!r}: expected auto or one of {', '.join(STYLES)}",
                    code="unknown_name",
                    field="--style" if style == self.style else "--reference-style",
                )


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that are graded.

    Attributes:
        reference: The field that holds the reference answer.
        answer: The field that holds the answer, or the response that states it.
        is_response: Which of the two it holds.
        guessed: The names that were guessed from the first row.
        asked: What the caller said.
    """

    reference: str
    answer: str
    is_response: bool
    guessed: frozenset[str]
    asked: FieldOptions

    def __str__(self) -> str:
        what = f"response (style {self.asked.style})" if self.is_response else "answer"
        named = [("reference", self.reference), (what, self.answer)]
        return ", ".join(f"{what} from {name!r}{' (guessed)' if name in self.guessed else ''}" for what, name in named)

    def pair(self, row: SourceRow) -> tuple[str, str | None]:
        """The row's reference and answer; the answer is None where the row has none.

        Raises:
            InvalidRow: The row can't be graded, or has a field that would be added.
        """
        for name in ADDED:
            if self.asked.prefix + name in row.fields:
                raise InvalidRow(
                    self.asked.prefix + name, "the row has this field already; name another --prefix", code="duplicate"
                )
        answer = _text(row, self.answer)
        if answer is not None and self.is_response:
            answer = extract_answer(answer, self.asked.style)
        return self._reference(row), answer

    def _reference(self, row: SourceRow) -> str:
        text = _text(row, self.reference)
        if text is None or not text.strip():
            raise InvalidRow(self.reference, "no reference answer; expected text", code="missing")
        style = self.asked.reference_style
        reference = text if style is None else extract_answer(text, style)
        if reference is None:
            raise InvalidRow(self.reference, f"no answer of style {style} in it; name another style", code="missing")
        if not self.asked.of_math:
            return reference
        if style is None and "####" in reference:
            raise InvalidRow(
                self.reference,
                "a worked solution, not an answer; name its style: --reference-style gsm8k",
                code="bad_value",
            )
        if (fault := reference_fault(reference)) is not None:
            raise InvalidRow(self.reference, f"can't be graded against: {fault}", code="bad_value")
        return reference


def find_fields(row: SourceRow, asked: FieldOptions) -> Fields:
    """The fields named, and for those that are not a guess from the file's first row.

    Raises:
        StepwardError: A named field isn't there, none can be guessed, or the row has a field that would be added.
    """
    for name in (asked.reference, asked.answer, asked.response):
        if name is not None and name not in row.fields:
            raise StepwardError(
                f"{_place(row)} has no field {name!r}; its fields are {_names(row)}",
                code="unknown_name",
                file=row.file,
                row=row.number,
                field=name,
            )
    if taken := [name for name in ADDED if asked.prefix + name in row.fields]:
        raise StepwardError(
            f"{_place(row)} has a field {asked.prefix + taken[0]!r} already, and a graded row gets one of that name; "
            "put something before the added names, such as --prefix graded_",
            code="duplicate",
            file=row.file,
            row=row.number,
            field=asked.prefix + taken[0],
        )
    answer = asked.answer if asked.answer is not None else asked.response
    reference = asked.reference
    if reference is None:
        free = [name for name in row.fields if name != answer]
        # "answer" is the reference where something else holds the answer: GSM8K's rows with a response put beside.
        has_other = answer is not None or any(name in free for name in (*ANSWER_FIELDS[1:], *RESPONSE_FIELDS))
        reference = _guess(row, (*REFERENCE_FIELDS, "answer") if has_other else REFERENCE_FIELDS, free, "--reference")
    if answer is None:
        free = [name for name in row.fields if name != reference]
        answer = _guess(row, (*ANSWER_FIELDS, *RESPONSE_FIELDS), free, "--answer or --response")
    is_response = asked.response is not None or (asked.answer is None and answer in RESPONSE_FIELDS)
    guessed = frozenset({reference, answer} - {asked.reference, asked.answer, asked.response})
    return Fields(reference, answer, is_response, guessed, asked)


def _guess(row: SourceRow, names: tuple[str, ...], free: list[str], option: str) -> str:
    for name in names:
        if name in free:
            return name
    raise StepwardError(
        f"{_place(row)} has none of the fields {', '.join(names)}; its fields are {_names(row)}; name one with "
        f"{option}",
        code="missing",
        file=row.file,
        row=row.number,
        field=option,
    )


def _place(row: SourceRow) -> str:
    return f"{row.file}: row {row.number}"


def _names(row: SourceRow) -> str:
    return ", ".join(row.fields) or "(none)"


def _text(row: SourceRow, name: str) -> str | None:
    """A field as text; a number as Python writes it, and None for null.

    Raises:
        InvalidRow: The field is missing, or something else.
    """
    if name not in row.fields:
        raise InvalidRow(name, "missing; expected text", code="missing")
    value = row.fields[name]
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    raise InvalidRow(name, f"expected text or a number, found {json_type(value)}", code="wrong_type")
