"""What pages show about labs, always from lab.toml: `{lab}` on a section's page, `{sections}` on the openers.

`` {section}`ch1/build` `` is a link to that section, called as its lab.toml says; a section that isn't written yet is
named without a link, so that pages of the whole book can point to it.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from hello_k8s import catalog
from hello_k8s.errors import HelloError
from hello_k8s.language import t


def needs(lab: catalog.Lab, language: str) -> str:
    """What the lab needs, for a reader: "Docker engine, 2 worker nodes"."""
    named = []
    for need in lab.needs:
        kind, _, value = need.partition(":")
        if kind != "image":
            named.append(t(f"book.need.{kind}", language, value=value))
    return ", ".join(named) or t("book.need.nothing", language)


class _Box(SphinxDirective):
    """A directive that writes Markdown from the catalog."""

    optional_arguments = 1

    @property
    def language(self) -> str:
        return self.env.config.language

    def labs(self) -> tuple[catalog.Lab, ...]:
        return catalog.labs(Path(self.env.srcdir) / "labs")

    def text(self, key: str, **values: object) -> str:
        return t(f"book.{key}", self.language, **values)

    def fill(self, node: nodes.Element, markdown: list[str]) -> nodes.Element:
        self.state.nested_parse(StringList(markdown, self.get_source_info()[0]), self.content_offset, node)
        return node


class LabBox(_Box):
    """`{lab}`: what the section's lab asks for, what it is worth and how to start it."""

    def run(self) -> list[nodes.Node]:
        section = self.arguments[0] if self.arguments else "/".join(self.env.docname.split("/")[-2:])
        try:
            lab = catalog.lab(section, Path(self.env.srcdir) / "labs")
        except HelloError as unknown:
            raise self.error(str(unknown)) from unknown
        box = nodes.admonition(classes=["hk-lab"])
        title = nodes.title(text=self.text("lab_title", title=lab.title[self.language]))
        box += title
        facts = [
            self.text("minutes", n=lab.minutes),
            self.text("points", n=lab.points) if lab.points else self.text("no_points"),
            self.text("needs", what=needs(lab, self.language)),
        ]
        if not lab.memory.startswith("0"):
            facts.append(self.text("memory", n=lab.memory.removesuffix("i") + "iB"))
        files = ", ".join(f"`{name}`" for name in lab.deliverables)
        lines = [" · ".join(facts), "", self.text("deliverables", files=files, folder=f"workspace/{lab.id}/"), ""]
        if lab.checks:
            lines += [f"| {self.text('check')} | {self.text('worth')} |", "|---|---:|"]
            lines += [f"| {check.question[self.language]} | {check.points} |" for check in lab.checks]
            lines += [""]
        verbs = ("start", "check", "hint")
        width = max(len(verb) for verb in verbs)
        lines += ["```bash"]
        lines += [
            f"./hello-k8s lab {verb} {lab.id}{' ' * (width - len(verb))}  # {self.text(f'lab_{verb}')}"
            for verb in verbs
        ]
        lines += ["```", ""]
        if (Path(self.env.srcdir) / f"notebooks/{self.language}/{lab.id}.ipynb").is_file():
            target = f"/notebooks/{self.language}/{lab.id}.ipynb"
            lines += [self.text("lab_notebook", target=target, file=target.removeprefix("/")), ""]
        self.fill(box, lines)
        return [box]


class Sections(_Box):
    """`{sections}`: on a chapter's opener its sections as a table, on the front page every chapter with its own."""

    def run(self) -> list[nodes.Node]:
        here = self.env.docname.split("/")
        chapter = self.arguments[0] if self.arguments else here[2] if len(here) > 3 else ""
        labs = [lab for lab in self.labs() if chapter in ("", lab.chapter)]
        box = nodes.container(classes=["hk-sections"])
        lines = self._table(labs) if chapter else self._chapters(labs)
        self.fill(box, lines)
        return [box]

    def _table(self, labs: list[catalog.Lab]) -> list[str]:
        head = [self.text(key) for key in ("section", "time", "worth", "what_it_needs")]
        lines = [f"| {' | '.join(head)} |", "|---|---:|---:|---|"]
        for lab in labs:
            link = f"[{lab.title[self.language]}](/book/{self.language}/{lab.id}.md)"
            minutes = self.text("minutes", n=lab.minutes)
            lines.append(f"| {link} | {minutes} | {lab.points} | {needs(lab, self.language)} |")
        return [*lines, "", self.text("total", minutes=sum(lab.minutes for lab in labs))]

    def _chapters(self, labs: list[catalog.Lab]) -> list[str]:
        chapters: dict[str, list[catalog.Lab]] = {}
        for opener in (Path(self.env.srcdir) / "book" / self.language).glob("ch*/index.md"):
            chapters[opener.parent.name] = []
        for lab in labs:
            chapters.setdefault(lab.chapter, []).append(lab)
        lines: list[str] = []
        for chapter, sections in sorted(chapters.items(), key=lambda item: int(item[0].removeprefix("ch"))):
            opener = Path(f"/book/{self.language}/{chapter}/index.md")
            known = (Path(self.env.srcdir) / opener.relative_to("/")).is_file()
            lines.append(f"- []({opener})" if known else f"- {self.text('chapter', n=chapter.removeprefix('ch'))}")
            lines += [f"  - [{lab.title[self.language]}](/book/{self.language}/{lab.id}.md)" for lab in sections]
        return lines


class SectionLink(SphinxRole):
    """See the module."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        language = self.env.config.language
        labs = {lab.id: lab for lab in catalog.labs(Path(self.env.srcdir) / "labs")}
        if self.text not in labs:
            return [nodes.inline(text=t("book.section_later", language, section=self.text))], []
        link = addnodes.pending_xref(
            "",
            nodes.inline(text=labs[self.text].title[language]),
            refdomain="std",
            reftype="doc",
            reftarget=f"/book/{language}/{self.text}",
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )
        return [link], []


def setup(app: Sphinx) -> None:
    app.add_role("section", SectionLink())
    app.add_directive("lab", LabBox)
    app.add_directive("sections", Sections)
