"""Does this answer equal the reference: extract it, then compare."""

from stepward.answers import STYLES, extract_answer
from stepward.grading.comparison import Verdict, grade

__all__ = ["STYLES", "Verdict", "extract_answer", "grade"]
