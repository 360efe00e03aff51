// How points are distributed: a drawing with a text alternative, and the same as numbers.
const CHART = { width: matchMedia("(max-width: 700px)").matches ? 400 : 1060, height: 230, left: 34, right: 8, top: 24, bottom: 30 };

function binLabel(place, bins) {
  const step = 100 / bins;
  return `${place * step}–${place === bins - 1 ? 100 : (place + 1) * step - 1}`;
}

function drawn(spread) {
  const bins = spread.bins.length, most = Math.max(1, ...spread.bins);
  const high = CHART.height - CHART.top - CHART.bottom, wide = CHART.width - CHART.left - CHART.right;
  const bar = wide / bins, y = (count) => CHART.top + high * (1 - count / most);
  const alt = say("chart_alt", { count: number(spread.counted), bars: spread.bins.map((count, place) => `${binLabel(place, bins)} %: ${count}`).join(", ") });
  const image = svg("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": alt, class: "chart" });
  for (const line of [...new Set([0, Math.round(most / 2), most])]) {
    image.append(svg("line", { x1: CHART.left, x2: CHART.width - CHART.right, y1: y(line), y2: y(line), class: "grid" }));
    image.append(svg("text", { x: CHART.left - 8, y: y(line) + 4, class: "axis end" }, String(line)));
  }
  spread.bins.forEach((count, place) => {
    const x = CHART.left + place * bar;
    image.append(svg("rect", { x: x + 3, y: y(count), width: bar - 6, height: Math.max(0, y(0) - y(count)), rx: 4, class: "bar" }));
    if (count) image.append(svg("text", { x: x + bar / 2, y: y(count) - 6, class: "value" }, String(count)));
    if (place % 2 === 0) image.append(svg("text", { x, y: CHART.height - 10, class: "axis" }, `${(place * 100) / bins}`));
  });
  image.append(svg("text", { x: CHART.width - CHART.right, y: CHART.height - 10, class: "axis" }, "100 %"));
  if (spread.mean !== null) {
    const x = CHART.left + (wide * spread.mean) / 100;
    image.append(svg("line", { x1: x, x2: x, y1: CHART.top - 8, y2: y(0), class: "mean" }));
  }
  return image;
}

function numbers(spread) {
  const bins = spread.bins.length;
  const row = (count, place) => el("tr", {}, el("th", { scope: "row" }, `${binLabel(place, bins)} %`), el("td", { class: "n" }, number(count)));
  return el("details", { class: "quiet" }, el("summary", {}, say("chart_numbers")),
    el("table", { class: "plain" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, say("percent")), el("th", { scope: "col", class: "n" }, say("count")))),
      el("tbody", {}, spread.bins.map(row))));
}

/** The section: which labs, the drawing, who isn't in it. */
function distribution() {
  const place = el("div");
  const choose = el("select", { id: "scope", onchange: (event) => { page.scope = Number(event.target.value); fill(); } },
    report.spreads.map((spread, index) => el("option", { value: index, selected: index === page.scope },
      spread.lab === null ? say("all_labs") : `${spread.lab} ${pick(report.labs[index - 1].title)}`)));
  function fill() {
    const spread = report.spreads[page.scope];
    const average = spread.mean === null ? null : el("p", { class: "note" },
      el("span", { class: "key" }), `${say("mean")} ${number(spread.mean, 1)} % · ${say("median")} ${number(spread.median, 1)} %`);
    const out = spread.ungraded ? el("p", { class: "note warn" }, say("left_out", { count: number(spread.ungraded) })) : null;
    place.replaceChildren(...[spread.counted ? drawn(spread) : el("p", {}, say("nobody")), average, out, numbers(spread)].filter(Boolean));
  }
  fill();
  return el("section", { class: "card", "aria-labelledby": "distribution" },
    el("div", { class: "head" }, el("h2", { id: "distribution" }, say("distribution")),
      el("label", { class: "pick" }, el("span", { class: "sr" }, say("distribution_of")), choose)),
    place);
}
