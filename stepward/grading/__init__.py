"""Does this answer equal the reference: extract it, then compare."""

from stepward.answer_extraction import STYLES, extract_answer, reference_fault
from stepward.grading.grade import Verdict, grade, grade_many, grade_without_sympy

__all__ = ["STYLES", "Verdict", "extract_answer", "grade", "grade_many", "grade_without_sympy", "reference_fault"]
