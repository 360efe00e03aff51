"""Grading: one pytest plugin that gives the learner, the author and the instructor the same answer.

`from hello_k8s.grading import MB, Unmet` is all that a checks.py needs; everything else comes as fixtures.
"""

from hello_k8s.grading.run import grade
from hello_k8s.grading.verdict import MB, CheckResult, Result, Unmet, Verdict

__all__ = ["MB", "CheckResult", "Result", "Unmet", "Verdict", "grade"]
