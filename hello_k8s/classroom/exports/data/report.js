// Which page is shown (the address's #), in which language.
function view() {
  const learner = /^#learner-(\d+)$/.exec(location.hash);
  if (learner) return learnerPage(Number(learner[1]) - 1);
  return location.hash === "#print" ? printPages() : overview();
}

function render(moved) {
  document.documentElement.lang = page.language;
  document.title = say("title");
  document.getElementById("skip").textContent = say("skip");
  document.getElementById("languages").setAttribute("aria-label", say("language"));
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === page.language));
  const main = document.getElementById("main"), top = scrollY;
  main.replaceChildren(...view().flat(Infinity).filter(Boolean));
  document.getElementById("footer").replaceChildren(el("p", {}, say("file_note")), el("p", {}, `${say("version")} ${report.version}`));
  const heading = main.querySelector("h1");
  if (heading && location.hash.startsWith("#learner-")) document.title = `${heading.textContent} · ${say("title")}`;
  if (moved) {
    scrollTo(0, place.get(location.hash) ?? 0);
    heading?.focus({ preventScroll: true });
  } else scrollTo(0, top);
}

/** Where the reader was in each page, for the way back. */
const place = new Map();
let shown = location.hash;

document.getElementById("languages").addEventListener("click", (event) => {
  const language = event.target.dataset.language;
  if (!language || language === page.language) return;
  page.language = language;
  render(false);
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("scroll", () => { if (shown === location.hash) place.set(shown, scrollY); }, { passive: true });
addEventListener("hashchange", () => {
  shown = location.hash;
  if (shown.startsWith("#learner-")) place.delete(shown);
  render(true);
});
addEventListener("beforeprint", () => { for (const found of document.querySelectorAll("details.check, details.hints")) found.open = true; });
render(false);
