// The class, and how the page is written: by elements and text, never by markup.
const report = JSON.parse(document.getElementById("data").textContent);
const page = { language: document.documentElement.lang, sort: { key: "learner", down: false }, search: "", show: "all", scope: 0, more: false };

/** The sentence `name` in the reader's language, its {blanks} filled in. */
function say(name, values = {}) {
  return report.words[page.language][name].replace(/\{(\w+)\}/g, (blank, key) => (key in values ? String(values[key]) : blank));
}

/** The reader's language of a text that is there in every language. */
function pick(texts) {
  return texts[page.language] ?? texts.en ?? "";
}

/** The text with this number in the pool. */
function pooled(number) {
  const item = report.texts[number];
  return Array.isArray(item) ? item[page.language === "ko" ? 0 : 1] : item;
}

/** An element; a string among `children` is text. `attributes` may hold listeners (`onclick`). */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A sentence whose `code` is shown as code. */
function prose(text) {
  return text.split("`").map((part, place) => (place % 2 && part ? el("code", {}, part) : part));
}

function number(value, digits = 0) {
  return value.toLocaleString(page.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const MARKS = { p: "✓", f: "✗", t: "✗", e: "!", n: "–" };

/** Points, or the state's own form where there are none: an ungraded row shows no number at all. */
function points(state, earned, possible) {
  if (state === "ungraded") return el("span", { class: "chip ungraded" }, `! ${say("state_ungraded")}`);
  const shown = el("span", { class: "points" }, el("b", {}, String(earned)), ` / ${possible}`);
  if (state === "not_submitted") return el("span", { class: "both" }, shown, el("span", { class: "chip missing" }, say("state_not_submitted")));
  return shown;
}
