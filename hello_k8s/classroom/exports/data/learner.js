// One learner's page: each lab, each check, what was seen and what helps.
function facts(title, lines, kind = "") {
  return lines.length ? el("div", { class: `facts ${kind}` }, el("h4", {}, title), lines) : null;
}

/** What is told of a check. `same` is an earlier check of the lab of which the very same is told. */
function outcomeBody(check, outcome, same) {
  const [letter, said = -1, seen = [], evidence = [], output = -1] = outcome;
  const pre = (text) => el("pre", { tabindex: "0" }, text);
  const message = said >= 0 ? pooled(said) : "";
  const causes = seen.map(pooled).filter((text) => text !== message);
  const known = new Set([message, ...causes]);
  const proofs = evidence.map(pooled).filter((text) => !known.has(text));
  const hints = letter === "f" || letter === "t" || letter === "n" ? check.hints : [];
  const help = hints.length ? el("details", { class: "hints" }, el("summary", {}, say("hints", { count: number(hints.length) })), el("ol", {}, hints.map((hint) => el("li", {}, prose(pick(hint)))))) : null;
  if (same) return [el("p", { class: "said note" }, prose(say("same_cause", { check: same.id }))), help];
  return [
    facts(say("said"), message ? [el("p", { class: "said" }, prose(message))] : []),
    facts(say("seen"), causes.map((text) => el("p", { class: "said" }, prose(text)))),
    facts(say("evidence"), proofs.length ? [pre(proofs.join("\n"))] : []),
    output >= 0 ? el("details", { class: "quiet" }, el("summary", {}, say("output")), pre(pooled(output))) : null,
    help,
  ];
}

function outcomeItem(check, outcome, same) {
  const letter = outcome[0], earned = letter === "p" ? check.points : 0;
  const body = outcomeBody(check, outcome, same).filter(Boolean);
  const worth = letter === "e" ? `– / ${number(check.points)}` : `${number(earned)} / ${number(check.points)}`;
  const head = [el("span", { class: `mark ${letter}` }, el("span", { "aria-hidden": "true" }, MARKS[letter]), el("span", { class: "sr" }, say(letter))),
    el("span", { class: "question" }, prose(pick(check.question)), " ", el("span", { class: "note" }, check.id), letter === "f" || letter === "p" ? null : el("span", { class: `chip ${letter === "e" ? "ungraded" : "missing"}` }, say(letter))),
    el("span", { class: "worth" }, worth)];
  return body.length ? el("details", { class: "check", open: true }, el("summary", {}, head), el("div", { class: "body" }, body)) : el("div", { class: "check" }, el("div", { class: "line" }, head));
}

function labCard(row, lab) {
  const id = `lab-${lab.id.replace("/", "-")}`, title = el("h2", {}, pick(lab.title), " ", el("span", { class: "note" }, lab.id));
  const notes = [];
  if (row.reason !== undefined) notes.push(el("p", { class: row.state === "ungraded" ? "banner" : "said" }, prose(pooled(row.reason))));
  else if (row.state === "ungraded") notes.push(el("p", { class: "banner" }, say("ungraded_note")));
  if (row.attempts) notes.push(el("p", { class: "note" }, say("attempts", { count: number(row.attempts) })));
  for (const text of row.drift ?? []) notes.push(el("p", { class: "note" }, say("drift"), " ", prose(pooled(text))));
  // of a lab that nobody handed in, every check would say the same
  const missing = row.state === "not_submitted";
  const said = missing && row.reason === undefined && row.checks.length && row.checks[0][1] >= 0 ? el("p", { class: "said" }, prose(pooled(row.checks[0][1]))) : null;
  const told = new Map();
  const checks = missing ? [] : lab.checks.map((check, place) => {
    const outcome = row.checks[place], key = outcome.length > 1 ? JSON.stringify(outcome.slice(1, 4)) : "";
    const same = key ? told.get(key) : undefined;
    if (key && !same) told.set(key, check);
    return outcomeItem(check, outcome, same);
  });
  const rewrites = (row.rewrites ?? []).map(pooled);
  return el("section", { class: `card lab ${row.state}`, id },
    el("div", { class: "head" }, title, points(row.state, row.earned, lab.possible)), notes, said, checks,
    rewrites.length ? el("details", { class: "quiet" }, el("summary", {}, say("replay_notes")), el("pre", { tabindex: "0" }, rewrites.join("\n"))) : null,
    row.source ? el("p", { class: "note source" }, say("source"), ": ", row.source) : null);
}

function learnerBody(learner) {
  return [el("div", { class: "head who" }, el("h1", { tabindex: "-1" }, learner.id), points(learner.state === "not_submitted" ? "graded" : learner.state, learner.earned, learner.possible)),
    learner.rows.map((row, lab) => labCard(row, report.labs[lab]))];
}

function learnerPage(place) {
  const learner = report.learners[place];
  if (!learner) return [el("h1", { tabindex: "-1" }, say("no_learner")), el("p", {}, el("a", { href: "#" }, say("back")))];
  const other = (step, word) => {
    const there = report.learners[place + step];
    return there ? el("a", { href: `#learner-${place + step + 1}`, rel: step < 0 ? "prev" : "next", title: there.id }, word) : el("span", { class: "off" }, word);
  };
  return [el("nav", { class: "ways", "aria-label": say("learners") }, el("a", { href: "#" }, `← ${say("back")}`),
      el("span", {}, other(-1, say("previous")), " ", other(1, say("next")), " ", el("button", { type: "button", class: "button", onclick: () => print() }, say("print")))),
    ...learnerBody(learner)];
}

/** Every learner that the table shows, each on a page of paper. */
function printPages() {
  const found = chosen();
  return [el("nav", { class: "ways" }, el("a", { href: "#" }, `← ${say("back")}`), el("button", { type: "button", class: "button", onclick: () => print() }, say("print"))),
    el("p", { class: "note noprint" }, say("print_ready", { count: number(found.length) })),
    ...found.map(({ learner }) => el("article", { class: "paper" }, learnerBody(learner)))];
}
