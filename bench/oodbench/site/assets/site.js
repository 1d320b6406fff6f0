// What all pages share: data that is loaded when it is asked for, the address that holds the state, and charts.
"use strict";
const oodbench = (() => {
  const root = document.body.dataset.root;
  const given = new Map();
  const waiting = new Map();

  const script = (source) => new Promise((done, failed) => {
    const tag = document.createElement("script");
    tag.src = source;
    tag.onload = done;
    tag.onerror = () => failed(new Error(`${source} cannot be loaded`));
    document.head.append(tag);
  });

  // A file of data calls this with its own address.
  const give = (address, content) => given.set(address, content);

  const load = (address) => {
    if (!waiting.has(address)) waiting.set(address, script(root + address).then(() => given.get(address)));
    return waiting.get(address);
  };

  let library;
  const charts = () => (library ??= script(`${root}assets/plot.js`).then(() => Plot));

  // The part of an address after # is the whole state: a link to it shows the same.
  const state = () => new URLSearchParams(location.hash.slice(1));
  const remember = (changes) => {
    const now = state();
    for (const [key, value] of Object.entries(changes)) {
      if (value) now.set(key, value); else now.delete(key);
    }
    const hash = now.toString() ? `#${now}` : "#";
    if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
  };

  const make = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made) made[key] = value; else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  // Plot labels groups that have no role; the picture as a whole has one, and a name.
  const draw = async (place, label, options) => {
    const host = document.getElementById(place);
    try {
      const library = await charts();
      const made = library.plot({ style: { background: "none", fontSize: "12px", overflow: "visible" }, ...options(library) });
      for (const svg of made.matches("svg") ? [made] : made.querySelectorAll(":scope > svg")) {
        svg.setAttribute("role", "img");
        svg.setAttribute("aria-label", label);
      }
      for (const one of made.querySelectorAll("g[aria-label], g[aria-description]")) {
        one.removeAttribute("aria-label");
        one.removeAttribute("aria-description");
      }
      for (const one of made.querySelectorAll(":scope > div")) one.setAttribute("aria-hidden", "true");
      host.replaceChildren(made);
    } catch {
      host.replaceChildren(make("p", { className: "hint" }, "This picture needs assets/plot.js, which this site was built without: make site."));
    }
  };

  const percent = (share) => (100 * share).toFixed(2);
  const COLOURS = ["#3b6fd4", "#d5651d", "#1f9d76", "#b0568f", "#9a7b00", "#5aa7d6", "#c0392b", "#7d6bd0", "#6b7785", "#2f8f2f", "#d08bb8", "#8c5a3c"];
  const curve = (points) => points[0].map((x, place) => ({ x: 100 * x, y: 100 * points[1][place] }));
  const wide = (host) => Math.max(280, Math.min(document.getElementById(host).parentElement.clientWidth - 30, 1240));

  // Curves by name: ROC with the coin's diagonal, or risk against coverage.
  const lines = (place, label, curves, x, y, coin) => draw(place, label, (Plot) => {
    const rows = Object.entries(curves).flatMap(([name, points]) => curve(points).map((point) => ({ ...point, name })));
    const width = Math.min(wide(place), 560);
    return {
      width, height: coin ? width * 0.86 : width * 0.7, marginLeft: 44, marginBottom: 40, marginTop: 24,
      x: { label: x, domain: [0, 100], grid: true }, y: { label: y, grid: true, ...(coin ? { domain: [0, 100] } : { zero: true }) },
      color: { domain: Object.keys(curves), range: COLOURS, legend: true },
      marks: [
        ...(coin ? [Plot.link([0], { x1: 0, y1: 0, x2: 100, y2: 100, stroke: "currentColor", strokeOpacity: 0.3, strokeDasharray: "3,3" })] : []),
        Plot.line(rows, { x: "x", y: "y", stroke: "name", strokeWidth: 1.8 }),
      ],
    };
  });

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  return { give, load, state, remember, make, draw, lines, percent, wide, COLOURS };
})();
