"""Does this answer equal the reference: extract it, then compare."""

from stepward.answer_extraction import STYLES, extract_answer, reference_fault
from stepward.grading.grade import Verdict, fast_verdict, grade, grade_many

__all__ = ["STYLES", "Verdict", "extract_answer", "fast_verdict", "grade", "grade_many", "reference_fault"]
