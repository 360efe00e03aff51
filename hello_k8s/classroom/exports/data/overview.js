// The class on one page: figures, distribution, hardest checks, the table.
function figures() {
  const all = report.spreads[0], rows = report.learners.flatMap((learner) => learner.rows);
  const count = (state) => rows.filter((row) => row.state === state).length;
  const tile = (label, value, note, kind = "") => el("div", { class: `tile ${kind}` }, el("dt", {}, label), el("dd", {}, value), note ? el("dd", { class: "note" }, note) : null);
  return el("dl", { class: "tiles" },
    tile(say("learners"), number(report.learners.length)),
    tile(say("mean"), all.mean === null ? "–" : `${number(all.mean, 1)} %`, say("mean_note", { count: number(all.counted) })),
    tile(say("submitted"), number(count("graded"))),
    tile(say("not_submitted"), number(count("not_submitted"))),
    tile(say("ungraded"), number(count("ungraded")), ungradedNote(rows), count("ungraded") ? "warn" : ""));
}

/** Rows that we failed to grade, and those of which it isn't known what to grade: only a person can decide that. */
function ungraded(rows) {
  const found = rows.filter((row) => row.state === "ungraded");
  return { ours: found.filter((row) => !row.undecided).length, undecided: found.filter((row) => row.undecided).length };
}

function ungradedNote(rows) {
  const { ours, undecided } = ungraded(rows);
  return [ours ? say("ungraded_note") : "", undecided ? say("undecided_note", { count: number(undecided) }) : ""].filter(Boolean).join(" ") || null;
}

function banner() {
  const { ours, undecided } = ungraded(report.learners.flatMap((learner) => learner.rows));
  const line = (sentence) => el("p", { class: "banner", role: "note" }, el("b", {}, "! "), prose(sentence));
  return [ours ? line(say("ungraded_banner", { count: number(ours) })) : null,
    undecided ? line(say("undecided_banner", { count: number(undecided) })) : null];
}

/** Hardest checks shown until the reader asks for all. */
const FEW = 5;

function hardest() {
  const body = el("tbody");
  const more = report.hardest.length > FEW ? el("button", { type: "button", class: "button", onclick: () => { page.more = !page.more; fill(); } }) : null;
  const fill = () => {
    body.replaceChildren(...report.hardest.map(line));
    more?.setAttribute("aria-expanded", String(page.more));
    if (more) more.textContent = page.more ? say("fewer") : say("more", { count: number(report.hardest.length) });
  };
  const head = [say("check"), say("pass_rate"), say("cause")].map((name) => el("th", { scope: "col" }, name));
  const line = (hard, place) => {
    const lab = report.labs.find((lab) => lab.id === hard.lab), check = lab.checks.find((check) => check.id === hard.check);
    const rate = hard.passed / hard.tried, fill = el("span");
    fill.style.width = `${rate * 100}%`;
    return el("tr", { hidden: place >= FEW && !page.more },
      el("th", { scope: "row" }, el("span", {}, prose(pick(check.question))), el("span", { class: "note" }, `${hard.lab} · ${hard.check}`)),
      el("td", { class: "rate" }, el("span", { class: "percent" }, `${number(rate * 100)} %`), el("span", { class: "meter", "aria-hidden": "true" }, fill),
        el("span", { class: "note" }, say("passed_of", { passed: number(hard.passed), tried: number(hard.tried) }))),
      el("td", { class: "cause" }, hard.cause ? el("span", { class: "said" }, prose(pick(hard.cause))) : "", hard.seen > 1 ? el("span", { class: "note" }, say("cause_times", { count: number(hard.seen) })) : null));
  };
  fill();
  return el("section", { class: "card", "aria-labelledby": "hardest" }, el("h2", { id: "hardest" }, say("hardest")),
    el("p", { class: "note" }, say("hardest_note")),
    report.hardest.length ? el("table", { class: "hard" }, el("thead", {}, el("tr", {}, head)), body) : el("p", {}, say("hardest_none")), more);
}

function unmapped() {
  if (!report.unmapped.length) return null;
  const line = (item) => el("tr", {}, el("th", { scope: "row" }, item.source), el("td", {}, prose(pick(item.reason))));
  return el("section", { class: "card warn", "aria-labelledby": "unmapped" }, el("h2", { id: "unmapped" }, say("unmapped")), el("p", { class: "note" }, say("unmapped_note")),
    el("table", { class: "plain wide" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, say("source")), el("th", { scope: "col" }, say("reason")))), el("tbody", {}, report.unmapped.map(line))));
}

const SHOWS = {
  all: () => true,
  ungraded: (learner) => learner.rows.some((row) => row.state === "ungraded"),
  not_submitted: (learner) => learner.rows.some((row) => row.state === "not_submitted"),
  partial: (learner) => learner.rows.some((row, lab) => row.state === "graded" && row.earned < report.labs[lab].possible),
};

/** What a column is sorted by; a learner without points comes last, whichever way. */
function sortValue(learner) {
  if (page.sort.key === "total") return learner.earned;
  return learner.rows[page.sort.key].earned;
}

function chosen() {
  const wanted = page.search.trim().normalize("NFC").toLowerCase();
  const found = report.learners.map((learner, place) => ({ learner, place }))
    .filter(({ learner }) => SHOWS[page.show](learner) && learner.id.normalize("NFC").toLowerCase().includes(wanted));
  const way = page.sort.down ? -1 : 1;
  if (page.sort.key === "learner") return page.sort.down ? found.reverse() : found;
  return found.sort((a, b) => {
    const [x, y] = [sortValue(a.learner), sortValue(b.learner)];
    if (x === y) return a.place - b.place;
    if (x === null || y === null) return x === null ? 1 : -1;
    return way * (x - y);
  });
}

function classTable() {
  const body = el("tbody"), status = el("p", { class: "note", role: "status" });
  const columns = [["learner", say("learner"), ""], ["total", say("total"), "n"], ...report.labs.map((lab, place) => [place, pick(lab.title), "n", lab.id])];
  const heads = columns.map(([key, name, kind, id]) => {
    const button = el("button", { type: "button", onclick: () => { page.sort = { key, down: page.sort.key === key ? !page.sort.down : key !== "learner" }; fill(); } }, el("span", {}, el("span", { class: "name" }, name), id ? el("span", { class: "note" }, id) : null), el("span", { class: "arrow", "aria-hidden": "true" }));
    return { key, head: el("th", { scope: "col", class: kind }, button) };
  });
  const line = ({ learner, place }) => el("tr", { class: learner.state },
    el("th", { scope: "row" }, el("a", { href: `#learner-${place + 1}` }, learner.id)),
    el("td", { class: "n total" }, points(learner.state === "not_submitted" ? "graded" : learner.state, learner.earned, learner.possible)),
    learner.rows.map((row, lab) => el("td", { class: `n ${row.state}` }, points(row.state, row.earned, report.labs[lab].possible))));
  function fill() {
    const found = chosen();
    for (const { key, head } of heads) {
      const active = page.sort.key === key;
      head.setAttribute("aria-sort", active ? (page.sort.down ? "descending" : "ascending") : "none");
      head.querySelector(".arrow").textContent = active ? (page.sort.down ? "▼" : "▲") : "";
    }
    status.textContent = found.length ? say("shown", { shown: number(found.length), all: number(report.learners.length) }) : say("none_shown");
    body.replaceChildren(...found.map(line));
  }
  fill();
  const search = el("input", { type: "search", id: "search", value: page.search, autocomplete: "off", spellcheck: "false", placeholder: say("search"), "aria-label": say("search"), oninput: (event) => { page.search = event.target.value; fill(); } });
  const show = el("select", { id: "show", "aria-label": say("show"), onchange: (event) => { page.show = event.target.value; fill(); } },
    Object.keys(SHOWS).map((name) => el("option", { value: name, selected: name === page.show }, say(`show_${name}`))));
  return el("section", { class: "card", "aria-labelledby": "table" },
    el("div", { class: "head" }, el("h2", { id: "table" }, say("table")), el("div", { class: "tools" }, search, show, el("a", { class: "button", href: "#print" }, say("print_all")))),
    el("p", { class: "note" }, say("table_note")),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "table" }, el("table", { class: "class" }, el("thead", {}, el("tr", {}, heads.map(({ head }) => head))), body)),
    status);
}

function overview() {
  const when = new Date(report.started);
  const day = Number.isNaN(when.getTime()) ? report.started : when.toLocaleString(page.language, { dateStyle: "long", timeStyle: "short" });
  const took = report.seconds < 120 ? say("took", { seconds: number(report.seconds) }) : say("took_minutes", { minutes: number(report.seconds / 60) });
  return [el("h1", { tabindex: "-1" }, say("title")), el("p", { class: "lead" }, `${say("started", { when: day })} · ${took}`),
    banner(), figures(), distribution(), hardest(), classTable(), unmapped()];
}
