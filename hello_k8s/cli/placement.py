"""`lab check --placement`: a few questions on the terminal, and what of chapter 0 can be skipped."""

from __future__ import annotations

from collections.abc import Callable

from hello_k8s.errors import UsageError
from hello_k8s.language import pick, t
from hello_k8s.workspace.placement import Question, topics


def take(ask: Callable[[str], str] = input) -> int:
    """Ask every question; explain each answer; say of each topic whether it can be skipped."""
    found = topics()
    print(t("placement.begin", count=sum(len(topic.questions) for topic in found)))
    given: dict[str, int] = {}
    for topic in found:
        print(f"\n── {pick(topic.title)}")
        for question in topic.questions:
            given[question.id] = _answer(question, ask)
            key = "right" if given[question.id] == question.right else "wrong"
            print(t(f"placement.{key}", number=question.right, why=pick(question.why)))
    print()
    for topic in found:
        key = "skip" if topic.known(given) else "read"
        print(t(f"placement.{key}", topic=pick(topic.title)))
    print(t("placement.next"))
    return 0


def _answer(question: Question, ask: Callable[[str], str]) -> int:
    """The number that was chosen; 0 for "I don't know". Asks again for anything else."""
    print(f"\n{pick(question.ask)}")
    for number, text in enumerate(question.answers, 1):
        print(f"  {number}  {pick(text)}")
    numbers = {str(number): number for number in range(len(question.answers) + 1)}
    while True:
        try:
            said = ask(t("placement.ask", count=len(question.answers))).strip()
        except EOFError:
            raise UsageError(t("placement.ended"), next=t("placement.ended_next")) from None
        if said in numbers:
            return numbers[said]
        print(t("placement.again", count=len(question.answers)))
