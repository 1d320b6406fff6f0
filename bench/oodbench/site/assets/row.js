// The pictures of a row.
"use strict";
(async () => {
  const { load, state, remember, make, draw, lines, wide, COLOURS } = oodbench;
  const { address, row } = document.body.dataset;
  if (!address) return;
  const found = await load(address);
  const select = document.getElementById("kind");
  const titles = Object.fromEntries([...document.querySelectorAll("section[aria-labelledby^='k-'] h2")].map((one) => [one.id.slice(2), one.textContent]));
  select.append(...Object.keys(found.roc).map((kind) => make("option", { value: kind }, titles[kind] || kind)));

  const { ends, threshold, rows } = found.histogram;
  const step = (ends[1] - ends[0]) / (rows[0]?.shares.length || 1);
  const kinds = [...new Set(rows.map((one) => one.kind))];
  const colour = (kind) => (kind === "" ? "#8a94a0" : COLOURS[kinds.filter(Boolean).indexOf(kind) % COLOURS.length]);
  const histograms = () => draw("histograms", `Histograms of the scores of ${row}, a row each for ${rows.map((one) => one.label).join(", ")}`, (Plot) => {
    const width = wide("histograms"), narrow = width < 500, left = narrow ? 136 : 176;
    const bars = rows.flatMap((one, place) => {
      const top = Math.max(...one.shares, 1e-9);
      const points = one.shares.map((share, at) => ({ x: ends[0] + (at + 0.5) * step, low: -place, high: -place + (0.86 * share) / top, one }));
      return points;
    });
    return {
      width, height: 44 + 34 * rows.length, marginLeft: left, marginRight: 58, marginBottom: 34, marginTop: 14,
      x: { label: "score →", domain: ends, ticks: Math.max(3, Math.round((width - left - 58) / 60)) }, y: { axis: null, domain: [-rows.length + 0.9, 1] },
      marks: [
        ...rows.map((one, place) => Plot.areaY(bars.filter((bar) => bar.one === one), { x: "x", y1: "low", y2: "high", fill: colour(one.kind), fillOpacity: 0.75, curve: "step" })),
        Plot.ruleY(rows.map((_, place) => -place), { strokeOpacity: 0.25 }),
        ...(threshold >= ends[0] && threshold <= ends[1] ? [Plot.ruleX([threshold], { strokeDasharray: "2,3" })] : []),
        Plot.text(rows.map((one, place) => ({ one, y: -place + 0.12 })), { y: "y", text: (d) => (narrow && d.one.label.length > 19 ? `${d.one.label.slice(0, 18)}…` : d.one.label), frameAnchor: "left", textAnchor: "end", dx: -8, lineAnchor: "bottom" }),
        Plot.text(rows.map((one, place) => ({ one, y: -place + 0.12 })), { y: "y", text: (d) => `${(100 * d.one.accepted).toFixed(1)} %`, frameAnchor: "right", textAnchor: "start", dx: 8, lineAnchor: "bottom" }),
      ],
    };
  });

  const curves = () => {
    const kind = found.roc[state().get("kind")] ? state().get("kind") : Object.keys(found.roc)[0];
    select.value = kind;
    if (kind) lines("roc", `ROC curves of ${row}: ${titles[kind] || kind}`, found.roc[kind], "bad inputs accepted, % →", "↑ good inputs accepted, %", true);
    const risk = document.getElementById("risk").closest("figure");
    risk.hidden = !found.risk;
    if (found.risk) lines("risk", `Risk-coverage curve of ${row}`, { [row]: found.risk }, "coverage, % →", "↑ risk, %", false);
  };

  select.addEventListener("change", () => { remember({ kind: select.value }); curves(); });
  addEventListener("hashchange", curves);
  let last = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== last) { last = innerWidth; histograms(); curves(); } });
  histograms();
  curves();
})();
