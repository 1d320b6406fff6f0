// The board: sort, filter, fold, another metric or set, compare rows, cost against error. The address holds it all.
"use strict";
(() => {
  const { load, state, remember, make, draw, lines, percent, wide, COLOURS } = oodbench;
  const { matrix, kind } = document.body.dataset;
  const at = (id) => document.getElementById(id);
  const folder = location.pathname.split("/").slice(-2)[0];
  const page = location.pathname.split("/").pop().replace(/\.html$/, "");
  const body = at("board").tBodies[0];
  const rows = [...body.rows];
  const byName = new Map(rows.map((row) => [row.dataset.row, row]));
  const heads = [...at("board").tHead.rows[0].cells];
  const valueHead = at("value-head");
  const original = { heading: valueHead.textContent, bar: at("bar-said").textContent };
  const kept = new Map(rows.map((row) => [row, { cell: row.querySelector("td.value").cloneNode(true) }]));
  const chosen = (id, name, first) => ([...at(id).options].some((one) => one.value === name) ? name : first);
  const FIRST = { metric: at("metric").value, set: at("set").value };

  // --- sorting -----------------------------------------------------------------------------------------------------
  for (const head of heads.filter((one) => one.dataset.sort)) {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const now = state();
      const again = (now.get("sort") || "rank") === head.dataset.sort;
      remember({ sort: head.dataset.sort === "rank" ? "" : head.dataset.sort, down: again && !now.get("down") ? "1" : "" });
      apply();
    });
  }

  const key = (row, place) => {
    const cell = row.cells[place];
    const ranks = cell.classList.contains("rank"); // without a place it says how much it lacks: "4 of 5 seeds"
    const number = cell.dataset.v ?? (ranks ? undefined : /^[\d.]+/.exec(cell.textContent.trim())?.[0]);
    return ranks || cell.classList.contains("num") ? (number === undefined ? null : Number(number)) : cell.textContent.trim().toLowerCase();
  };

  const sorted = (shown) => {
    const now = state(), name = now.get("sort") || "rank", down = now.get("down") ? -1 : 1;
    const place = heads.findIndex((head) => head.dataset.sort === name);
    for (const head of heads) head.removeAttribute("aria-sort");
    if (place < 0) return shown;
    heads[place].setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
    const keys = new Map(shown.map((row) => [row, key(row, place)]));
    return [...shown].sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      if (x === null || y === null) return (x === null) - (y === null) || a.dataset.at - b.dataset.at;
      return down * (x < y ? -1 : x > y ? 1 : 0) || a.dataset.at - b.dataset.at;
    });
  };

  // --- filters -----------------------------------------------------------------------------------------------------
  const wanted = (row, now) => {
    const text = `${row.dataset.row} ${row.dataset.title} ${row.dataset.family}`.toLowerCase();
    return (now.get("q") || "").toLowerCase().split(/\s+/).every((word) => text.includes(word))
      && ["family", "tuned", "labels"].every((name) => !now.get(name) || row.dataset[name] === now.get(name))
      && (!now.get("best") || row.dataset.best);
  };

  const fold = (order, now) => {
    for (const one of body.querySelectorAll("button.more")) one.remove();
    if (!now.get("fold")) return order;
    const open = new Set((now.get("open") || "").split(",").filter(Boolean));
    const families = new Map();
    for (const row of order) families.set(row.dataset.family, [...(families.get(row.dataset.family) || []), row]);
    const shown = [];
    for (const [family, own] of families) {
      shown.push(...(open.has(family) ? own : own.slice(0, 1)));
      if (own.length > 1) {
        const button = make("button", { type: "button", className: "more quiet" }, open.has(family) ? "fold" : `+${own.length - 1}`);
        button.setAttribute("aria-label", `${open.has(family) ? "Fold" : "Show"} ${own.length - 1} more rows of ${family}`);
        button.setAttribute("aria-expanded", String(open.has(family)));
        button.addEventListener("click", () => {
          open.has(family) ? open.delete(family) : open.add(family);
          remember({ open: [...open].join(",") });
          apply();
          body.querySelector(`tr[data-row="${CSS.escape(own[0].dataset.row)}"] button.more`)?.focus();
        });
        own[0].querySelector(".chip").after(" ", button);
      }
    }
    return shown;
  };

  // --- another metric or set ---------------------------------------------------------------------------------------
  let turn = 0;
  const values = async () => {
    const now = state(), metric = chosen("metric", now.get("metric"), FIRST.metric), set = chosen("set", now.get("set"), FIRST.set), mine = ++turn;
    at("metric").value = metric;
    at("set").value = set;
    const button = valueHead.querySelector("button");
    if (metric === FIRST.metric && set === FIRST.set) {
      for (const [row, { cell }] of kept) row.querySelector("td.value").replaceWith(cell.cloneNode(true));
      button.textContent = original.heading;
      at("bar-said").textContent = original.bar;
      return;
    }
    const found = await load(`${folder}/data/${page}/${metric}.js`).catch(() => null);
    if (mine !== turn || !found) return;
    const heading = at("set").selectedOptions[0].textContent;
    button.textContent = set === FIRST.set ? found.heading : `${found.heading}: ${heading}`;
    at("bar-said").textContent = found.bars[set] || "no interval is known";
    for (const row of rows) {
      const [text, value, low, high] = found.rows[row.dataset.row]?.[set] || ["–"];
      const cell = make("td", { className: "num value" }, text);
      if (value !== undefined) cell.dataset.v = value;
      if (low !== undefined) {
        const bar = make("span", { className: "err" });
        bar.setAttribute("aria-hidden", "true");
        for (const [name, number] of [["--l", low], ["--h", high], ["--m", value]]) bar.style.setProperty(name, number);
        cell.append(bar);
      }
      row.querySelector("td.value").replaceWith(cell);
    }
  };

  // --- comparison --------------------------------------------------------------------------------------------------
  const compared = () => (state().get("compare") || "").split(",").filter((name) => byName.has(name));

  for (const row of rows) {
    const box = row.querySelector(".pick input");
    box.addEventListener("change", () => {
      const now = new Set(compared());
      box.checked ? now.add(row.dataset.row) : now.delete(row.dataset.row);
      remember({ compare: [...now].join(",") });
      comparison();
    });
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a, button, input, abbr, .pick") && !String(getSelection())) row.querySelector("a").click();
    });
  }

  const p = (value) => (value < 0.0001 ? "< 0.0001" : value.toFixed(4));
  const points = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${percent(Math.abs(value))}`;

  const pairs = async (names) => {
    const table = make("table", { className: "plain" });
    table.append(make("caption", { className: "hidden" }, "Paired differences"));
    const words = ["First", "Second", "Metric", "Difference", "95 % interval", "p", "p after Holm"];
    table.append(make("thead", {}, make("tr", {}, ...words.map((word, place) => make("th", { scope: "col", className: place > 2 ? "num" : "" }, word)))));
    const lines = make("tbody");
    for (const [place, first] of names.entries()) {
      const file = byName.get(first).dataset.file;
      const of = await load(`${folder}/data/pairs/${page}/${file}.js`).catch(() => null);
      for (const second of names.slice(place + 1)) {
        for (const option of at("metric").options) {
          const metric = option.value;
          if (of && !(metric in of)) continue;
          const found = of?.[metric]?.[second];
          const cells = found
            ? [points(found[0]), found[1] === null ? "none" : `${points(found[1])} to ${points(found[2])}`, p(found[3]), p(found[4])]
            : ["a row without a rank is in no test", "–", "–", "–"];
          const line = make("tr", {}, make("th", { scope: "row" }, first), make("td", {}, second), make("td", { className: "metric" }, found ? option.textContent : "–"));
          line.append(...cells.map((text) => make("td", { className: "num" }, text)));
          if (found && found[4] <= 0.05 && found[0]) line.className = (found[0] < 0) === option.textContent.includes("↓") ? "better" : "worse";
          lines.append(line);
          if (!found) break;
        }
      }
    }
    table.append(lines);
    return table;
  };

  let latest = 0;
  const comparison = async () => {
    const names = compared(), mine = ++latest;
    for (const row of rows) {
      row.querySelector(".pick input").checked = names.includes(row.dataset.row);
      row.classList.toggle("picked", names.includes(row.dataset.row));
    }
    at("comparison").hidden = names.length < 2;
    at("pick-hint").hidden = names.length >= 2;
    at("pick-hint").textContent = names.length === 1 ? `Tick another row to compare it with ${names[0]}.` : "Tick two or more rows (⇄) to compare them on the same inputs.";
    if (names.length < 2) return;
    const table = await pairs(names);
    const files = names.map((name) => `${folder}/data/rows/${byName.get(name).dataset.file}.js`);
    const found = await Promise.all(files.map((file) => load(file).catch(() => null)));
    if (mine !== latest) return;
    const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
    scroll.setAttribute("aria-label", "Paired differences");
    const what = "First row less second, mean over all sets, in points of percent; the interval is at 95 %, over inputs and seeds. p after Holm is corrected for the tests of the first row against all others: what its rank is made of.";
    at("pairs").replaceChildren(make("p", { className: "hint" }, what), scroll);
    const sets = [...new Set(found.flatMap((one) => Object.keys(one?.roc[kind] || {})))];
    const order = [...at("set").options].map((one) => one.value).filter((name) => sets.includes(name));
    at("curve").replaceChildren(...order.map((name) => make("option", { value: name }, name)));
    at("curve").value = order.includes(state().get("curve")) ? state().get("curve") : order[0];
    const set = at("curve").value;
    const of = (pick) => Object.fromEntries(names.map((name, place) => [name, found[place] && pick(found[place])]).filter(([, points]) => points));
    await lines("roc", `ROC curves of ${names.join(", ")} on ${set}`, of((one) => one.roc[kind]?.[set]), "bad inputs accepted, % →", "↑ good inputs accepted, %", true);
    const risks = of((one) => one.risk);
    at("risk").closest("figure").hidden = !Object.keys(risks).length;
    if (Object.keys(risks).length) await lines("risk", `Risk-coverage curves of ${names.join(", ")}`, risks, "coverage, % →", "↑ risk, %", false);
  };

  // --- cost against error ------------------------------------------------------------------------------------------
  const costs = () => {
    const axis = chosen("cost", state().get("cost"), at("cost").options[0].value);
    at("cost").value = axis;
    for (const one of document.querySelectorAll(".front")) one.hidden = one.dataset.axis !== axis;
    return axis;
  };
  const pareto = () => {
    const axis = costs();
    const told = document.querySelector(`.front[data-axis="${axis}"]`);
    const front = told.dataset.front.split(" ").filter(Boolean);
    const points = rows.filter((row) => (axis === "passes" ? row.dataset[axis] : row.dataset[axis] > 0) && row.dataset.mean)
      .map((row) => ({ name: row.dataset.row, x: Number(row.dataset[axis]), y: 100 * row.dataset.mean, family: row.dataset.family, front: front.includes(row.dataset.row) }));
    const best = points.filter((one) => one.front).sort((a, b) => a.x - b.x || b.y - a.y);
    // The best few of the front are named, as far as their names do not lie on each other.
    const named = [];
    for (const one of [...best].reverse()) {
      const near = (other) => Math.abs(other.y - one.y) < 5 && Math.abs(Math.log((other.x + 0.1) / (one.x + 0.1))) < 0.7;
      if (named.length < 6 && !named.some(near)) named.push(one);
    }
    const ends = [Math.min(...points.map((one) => one.x)), Math.max(...points.map((one) => one.x))];
    const middle = axis === "passes" ? (ends[0] + ends[1]) / 3 : Math.sqrt(ends[0] * ends[1]);
    const ticks = [0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000].filter((one) => ends[0] <= one && one <= ends[1]);
    const families = [...new Set(points.map((one) => one.family))].sort();
    draw("pareto", `${at("cost").selectedOptions[0].textContent} against the mean that ranks; on the front: ${front.join(", ") || "none"}`, (Plot) => {
      const width = wide("pareto");
      return {
        width, height: Math.min(420, Math.max(300, width * 0.5)), marginLeft: 46, marginBottom: 42, marginRight: 24, marginTop: 24,
        x: { type: axis === "passes" ? "sqrt" : "log", label: `${axis} →`, grid: true, ...(axis === "passes" ? { ticks, tickFormat: "d" } : { ticks: 6, tickFormat: "~s" }) }, y: { label: `↑ ${original.heading.replace(/ [↓↑]$/, "")}, %`, grid: true, zero: true },
        color: { domain: families, range: COLOURS, legend: true },
        marks: [
          Plot.line(best, { x: "x", y: "y", curve: "step-after", stroke: "currentColor", strokeOpacity: 0.45 }),
          Plot.dot(points, { x: "x", y: "y", fill: "family", fillOpacity: (d) => (d.front ? 1 : 0.45), r: (d) => (d.front ? 5 : 3), title: (d) => `${d.name}\n${d.y.toFixed(2)} % at ${d.x}` }),
          ...[true, false].map((left) => Plot.text(named.filter((one) => one.x <= middle === left), { x: "x", y: "y", text: "name", dy: 13, dx: left ? 3 : -3, textAnchor: left ? "start" : "end", fontWeight: 600 })),
        ],
      };
    });
  };

  // --- all of it ---------------------------------------------------------------------------------------------------
  const CONTROLS = ["q", "metric", "set", "family", "tuned", "labels", "best", "fold"];
  const show = () => {
    const now = state();
    const matching = rows.filter((row) => wanted(row, now));
    const shown = new Set(fold(sorted(matching), now));
    const order = now.get("fold") ? [...shown] : sorted(matching);
    for (const row of rows) row.hidden = !shown.has(row);
    body.append(...order, ...rows.filter((row) => !shown.has(row)));
    at("count").textContent = `${shown.size} of ${rows.length} rows`;
  };
  const apply = async () => {
    const now = state();
    for (const id of CONTROLS) {
      const control = at(id);
      if (control.type === "checkbox") control.checked = Boolean(now.get(id));
      else if (id !== "metric" && id !== "set" && control.value !== (now.get(id) || "")) control.value = now.get(id) || "";
    }
    await values();
    show();
  };
  for (const id of CONTROLS) {
    const control = at(id);
    control.addEventListener(control.type === "search" ? "input" : "change", () => {
      const value = control.type === "checkbox" ? (control.checked ? "1" : "") : control.value;
      const changes = { [id]: value === FIRST[id] ? "" : value };
      if (id === "metric" || id === "set") {
        const other = id in FIRST && (value !== FIRST[id] || (state().get(id === "metric" ? "set" : "metric")));
        const up = at("metric").selectedOptions[0].textContent.includes("↑");
        Object.assign(changes, { sort: other ? "value" : "", down: other && up ? "1" : "" });
      }
      remember(changes);
      apply();
    });
  }
  at("reset").addEventListener("click", () => { history.replaceState(null, "", "#"); everything(); });
  at("clear").addEventListener("click", () => { remember({ compare: "", curve: "" }); comparison(); at("board-section").scrollIntoView(); });
  at("curve").addEventListener("change", () => { remember({ curve: at("curve").value }); comparison(); });
  at("cost").addEventListener("change", () => { remember({ cost: at("cost").value }); pareto(); });
  const everything = async () => { await apply(); await comparison(); };
  addEventListener("hashchange", () => { everything(); pareto(); });
  let last = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== last) { last = innerWidth; pareto(); comparison(); } });
  costs();
  everything();
  // The library of charts is loaded when the picture comes near.
  new IntersectionObserver((seen, watch) => {
    if (seen.some((one) => one.isIntersecting)) { watch.disconnect(); pareto(); }
  }, { rootMargin: "300px" }).observe(at("pareto").parentElement);
})();
