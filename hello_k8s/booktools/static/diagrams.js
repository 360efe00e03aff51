/* Draws every diagram in the colours of the page, again when the reader changes them. Without this script, or if a
   diagram can't be drawn, its text stays. */
(() => {
  const root = document.documentElement;
  const drawings = [...document.querySelectorAll(".hk-diagram > .mermaid")].map((box) => ({
    box,
    text: box.textContent,
  }));
  let drawn = "";

  async function draw() {
    const theme = root.dataset.theme === "dark" ? "dark" : "neutral";
    if (theme === drawn) return;
    drawn = theme;
    mermaid.initialize({
      startOnLoad: false,
      theme,
      fontFamily: getComputedStyle(document.body).fontFamily,
      flowchart: { padding: 12 },
    });
    for (const [number, { box, text }] of drawings.entries()) {
      try {
        const { svg } = await mermaid.render(`hk-diagram-${number}`, text);
        if (drawn !== theme) return;
        box.innerHTML = svg;
        const picture = box.querySelector("svg");
        picture.style.setProperty("--hk-width", picture.style.maxWidth || "100%");
        box.dataset.drawn = theme;
      } catch (problem) {
        console.error(problem);
      }
    }
  }

  // By then the theme has decided on light or dark.
  addEventListener("load", draw);
  new MutationObserver(draw).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
})();
