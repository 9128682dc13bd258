"use strict";
// The report: a table, a panel and plots of the same candidates, linked by their place in the order (from 0).
// `state` outlives a refresh; everything else is made again by `start` from the page's own data.
(() => {
  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const state = { sort: "rank", down: false, query: "", picked: [], hover: -1, stage: "", cost: "" };
  let data, candidates, rows, wins, matching, charts, listening;

  // ---- small things

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const known = (value) => typeof value === "number" && Number.isFinite(value);
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const scaled = (value) => {
    for (const [unit, sign] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
      if (Math.abs(value) >= unit) return `${+(value / unit).toPrecision(3)}${sign}`;
    }
    return `${+value.toPrecision(4)}`;
  };
  const final = (value) => !known(value) ? "-"
    : data.percent && value >= 0 && value <= 1 ? `${(100 * value).toFixed(1)}%` : `${+value.toPrecision(5)}`;
  const between = (low, high) => known(low) && high > low ? ` (${final(low)} to ${final(high)})` : "";
  // A line of a long name breaks after separators only, as in the table.
  const breakable = (name) => name.split(/(?<=[_\-:|+~,./ ])/).flatMap((part) => [part, document.createElement("wbr")]);

  // P(a beats b): a triangle of half percents, row by row.
  const beats = (a, b) => {
    if (a === b) return 0.5;
    if (a > b) return 1 - beats(b, a);
    return wins[a * candidates.length - a * (a + 1) / 2 + (b - a - 1)] / 200;
  };

  const mixed = (from, to, share) => {
    const parts = [from, to].map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
    return `rgb(${parts[0].map((value, index) => Math.round(value + share * (parts[1][index] - value))).join(",")})`;
  };
  const ramp = () => {
    const [first, middle, last] = ["first", "middle", "last"].map(colour);
    const most = Math.max(candidates.length - 1, 1);
    return candidates.map((_, place) => place / most < 0.5
      ? mixed(first, middle, 2 * place / most) : mixed(middle, last, 2 * place / most - 1));
  };

  // ---- one text for hovering, used by plots and by the terms of the glossary

  const tip = find("#tip");
  const showTip = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - width - 6))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(6, y - height - 10) : y + 18}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  const explain = (event) => {
    const term = event.target.closest?.("[data-term]");
    if (!term) return;
    const box = term.getBoundingClientRect();
    showTip(find(`[id="term-${term.dataset.term.replaceAll(" ", "-")}"] dd`).textContent, box.left - 14, box.bottom - 12);
  };
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, explain);
  for (const name of ["pointerout", "focusout"]) {
    document.addEventListener(name, (event) => { if (event.target.closest?.("[data-term]")) hideTip(); });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

  // ---- linking

  const hover = (place) => {
    if (place === state.hover) return;
    rows[state.hover]?.classList.remove("hover");
    state.hover = place;
    rows[place]?.classList.add("hover");
    charts.forEach((chart) => chart.mark());
  };

  const pick = (place) => {
    const at = state.picked.indexOf(place);
    if (at >= 0) state.picked.splice(at, 1);
    else state.picked = [...state.picked, place].slice(-2);
    showPicked();
  };

  const showPicked = () => {
    rows.forEach((row, place) => {
      const chosen = state.picked.includes(place);
      row.classList.toggle("chosen", chosen);
      find("input", row).checked = chosen;
    });
    showChosen();
    charts.forEach((chart) => chart.mark());
  };

  const FACTS = [
    ["rank", (one) => `${one.rank} (${one.rank_low} to ${one.rank_high})`],
    ["tier", (one) => `${one.tier}`],
    ["best", (one) => `${Math.round(100 * one.best)} %`],
    ["predicted", (one) => final(one.predicted) + between(one.low, one.high)],
    ["measured", (one) => final(one.measured)],
    ["parameters", (one) => scaled(one.parameters)],
    ["FLOPs", (one) => scaled(one.flops), "flops"],
    ["latency", (one) => `${+one.latency.toPrecision(3)} ms`],
    ["cost", (one) => `${+one.epochs.toFixed(1)} epochs, ${+one.seconds.toFixed(1)} s`, "epochs"],
    ["status", (one) => one.note],
    ["evidence", (one) => one.evidence],
  ];

  const showChosen = () => {
    const panel = find("#chosen");
    const chosen = state.picked.map((place) => candidates[place]);
    panel.className = chosen.length === 2 ? "two" : "";
    if (!chosen.length) {
      panel.replaceChildren(make("p", { class: "note" },
        "Select a row, a curve or a point; select two to compare them. Drag in a plot to zoom, double-click to go back."));
      return;
    }
    const heads = chosen.map((one, index) => make("h3", { class: index ? "b" : "a" }, ...breakable(one.name)));
    const parts = [];
    if (chosen.length === 2) {
      const [a, b] = state.picked, share = beats(a, b);
      parts.push(make("p", { class: "big", id: "beats" }, `P(`, make("span", { class: "a" }, ...breakable(chosen[0].name)),
        ` beats `, make("span", { class: "b" }, ...breakable(chosen[1].name)), `) = ${Math.round(100 * share)}\u00a0%`));
    }
    const list = make("dl");
    if (chosen.length === 2) list.append(make("dt", {}, ""), ...heads.map((head) => make("dd", {}, head)));
    for (const [name, text, key = name] of FACTS) {
      const has = chosen.map((one) => known(one[key]) || key === "status" || Boolean(one[key]));
      if (!has.some(Boolean)) continue;
      list.append(make("dt", {}, name === "best" ? "P(best)" : name),
        ...chosen.map((one, index) => make("dd", {}, has[index] ? text(one) : "-")));
    }
    if (chosen.length === 1) {
      parts.push(...heads, ...(chosen[0].code === chosen[0].name ? [] : [make("p", { class: "code" }, ...breakable(chosen[0].code))]));
    }
    parts.push(list);
    if (chosen.length === 1) {
      const own = data.curves.filter((curve) => curve.c === state.picked[0]);
      if (own.length) parts.push(make("ul", {}, ...own.map((curve) => make("li", {}, curve.words))));
    }
    panel.replaceChildren(...parts, make("button", { type: "button", onclick: () => { state.picked = []; showPicked(); } }, "clear"));
  };

  // ---- the table

  const value = (place, key) => {
    const found = candidates[place][key];
    return found === undefined || found === null ? NaN : found;
  };
  const sortRows = () => {
    const order = candidates.map((_, place) => place);
    const missing = (found) => typeof found === "number" && Number.isNaN(found);
    order.sort((a, b) => {
      const [first, second] = [value(a, state.sort), value(b, state.sort)];
      if (missing(first) || missing(second)) return missing(first) - missing(second) || a - b;
      const compared = typeof first === "string" ? first.localeCompare(second, "en", { numeric: true }) : first - second;
      return (state.down ? -compared : compared) || a - b;
    });
    find("#table tbody").append(...order.map((place) => rows[place]));
    find("#table").classList.toggle("tiers", state.sort === "rank" && !state.down);
    all("#table thead th[data-key]").forEach((head) => {
      if (head.dataset.key === state.sort) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };

  const searchRows = () => {
    const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
    matching = candidates.map((one) => {
      const text = `${one.name} ${one.code} ${one.status} ${one.note} ${one.evidence}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    rows.forEach((row, place) => { if (row.hidden === matching[place]) row.hidden = !matching[place]; });
    find("#found").textContent = `${matching.filter(Boolean).length} of ${candidates.length}`;
    charts.forEach((chart) => chart.redraw());
  };

  const download = () => {
    const keys = ["rank", "tier", "name", "code", "rank_low", "rank_high", "predicted", "low", "high", "measured", "best", "top",
      "objective", "objective_rank", "parameters", "flops", "latency", "epoch_seconds", "epochs", "seconds", "state", "note", "evidence"]
      .filter((key) => candidates.some((one) => one[key] !== undefined && one[key] !== null && one[key] !== ""));
    const cell = (text) => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const lines = [keys, ...candidates.map((one) => keys.map((key) => String(one[key] ?? "")))];
    const text = lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "ranking.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const setUpTable = () => {
    const body = find("#table tbody"), placeOf = (event) => Number(event.target.closest("tr")?.dataset.c ?? -1);
    body.addEventListener("pointerover", (event) => hover(placeOf(event)));
    body.addEventListener("pointerleave", () => hover(-1));
    body.addEventListener("focusin", (event) => hover(placeOf(event)));
    body.addEventListener("click", (event) => {
      if (!String(getSelection()) || event.target.matches("input")) pick(placeOf(event));
    });
    find("#table thead").addEventListener("click", (event) => {
      const head = event.target.closest("th[data-key]");
      if (!head) return;
      event.preventDefault();
      const key = head.dataset.key;
      // Numbers that are better when they are higher come down first.
      const down = ["predicted", "measured", "objective", "top"].includes(key) && !(data.lower && key !== "objective" && key !== "top");
      state.down = state.sort === key ? !state.down : down;
      state.sort = key;
      sortRows();
    });
    const search = find("#search");
    search.value = state.query;
    search.addEventListener("input", () => { state.query = search.value; searchRows(); });
    find("#csv").addEventListener("click", download);
  };

  // ---- plots: uPlot has the axes and the zoom; items are drawn here, so that each can be found under the pointer

  const MARKS = {
    full: (c, x, y, r) => c.arc(x, y, r, 0, 7), done: (c, x, y, r) => c.arc(x, y, r * 0.8, 0, 7),
    stopped: (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r), paused: (c, x, y, r) => c.arc(x, y, r, 0, 7),
    failed: (c, x, y, r) => { c.moveTo(x - r, y - r); c.lineTo(x + r, y + r); c.moveTo(x - r, y + r); c.lineTo(x + r, y - r); },
    begun: (c, x, y, r) => { c.moveTo(x + r, y); c.lineTo(x - r, y - r); c.lineTo(x - r, y + r); c.closePath(); },
    none: (c, x, y, r) => { c.moveTo(x, y - r); c.lineTo(x + r, y); c.lineTo(x, y + r); c.lineTo(x - r, y); c.closePath(); },
  };
  const DASHES = { stopped: [5, 3], paused: [2, 3], failed: [1, 2], begun: [8, 3] };
  const HOLLOW = new Set(["paused", "failed", "none"]);

  const padded = (values, log) => {
    let low = Infinity, high = -Infinity;
    for (const one of values) if (known(one)) { low = Math.min(low, one); high = Math.max(high, one); }
    if (!(low <= high)) return [0, 1];
    if (log) return [low / 1.15, high * 1.15];
    const margin = (high - low || Math.abs(high) || 1) * 0.05;
    return [low - margin, high + margin];
  };

  class Chart {
    // spec(): items [{c, points, state, words, bars}], the names of the axes, and lines to draw below
    constructor(card, spec, controls = []) {
      this.spec = spec;
      this.place = make("div", { class: "plot" });
      this.key = make("ul", { class: "key" });
      card.append(...controls, this.place, this.key);
      this.card = card;
      this.build();
    }

    build() {
      this.plot?.destroy();
      this.place.replaceChildren();
      const spec = this.shown = this.spec();
      this.colours = ramp();
      const paper = { soft: colour("soft"), grid: colour("grid") };
      const xs = padded(spec.items.flatMap((item) => item.points.map((point) => point[0])), spec.log);
      const ys = padded(spec.items.flatMap((item) => item.points.map((point) => point[1])));
      const axis = (label, values) => ({ stroke: paper.soft, grid: { stroke: paper.grid, width: 1 }, ticks: { stroke: paper.grid },
        label, labelSize: 18, font: "11px system-ui", labelFont: "12px system-ui", values: (_, marks) => marks.map((mark) => mark === null ? "" : values(mark)) });
      const keep = (_, low, high) => [low, high];
      this.plot = new uPlot({
        width: Math.max(this.place.clientWidth, 200), height: 260, legend: { show: false }, padding: [8, 8, 0, 0],
        scales: { x: { time: false, distr: spec.log ? 3 : 1, range: keep }, y: { range: keep } },
        axes: [{ ...axis(spec.x, spec.xText), size: 34 }, { ...axis(spec.y, spec.yText), size: 56 }],
        series: [{}, { paths: () => null, points: { show: false } }],
        cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: true, uni: 20 } },
        hooks: { draw: [() => this.draw()], setSize: [() => this.fit()] },
      }, [xs, ys], this.place);
      this.over = make("canvas", { class: "over" });
      this.plot.root.append(this.over);
      this.plot.root.setAttribute("role", "img");
      this.plot.root.setAttribute("aria-label", `${spec.y} by ${spec.x}, ${spec.items.length} drawn; the table has the numbers`);
      this.fit();
      this.plot.over.addEventListener("pointermove", (event) => this.point(event));
      this.plot.over.addEventListener("pointerleave", () => { hideTip(); hover(-1); });
      this.plot.over.addEventListener("pointerdown", (event) => { this.from = [event.clientX, event.clientY]; });
      // Not a click, which uPlot keeps to itself after a drag.
      this.plot.over.addEventListener("pointerup", (event) => {
        const moved = this.from ? Math.hypot(event.clientX - this.from[0], event.clientY - this.from[1]) : Infinity;
        const item = moved > 4 ? null : this.nearest(event);
        if (item) pick(item.c);
      });
      const states = new Set(spec.items.map((item) => item.state));
      this.key.replaceChildren(
        make("li", {}, "best", make("span", { class: "ramp" }), "last"),
        ...Object.keys(MARKS).filter((name) => states.has(name)).map((name) =>
          make("li", {}, make("span", { class: `dot ${name}` }), data.states[name] ?? "not trained")),
        ...(spec.note ? [make("li", {}, spec.note)] : []));
      this.place.hidden = !spec.items.length;
    }

    fit() {
      if (!this.over) return;
      const { width, height } = this.plot.ctx.canvas;
      Object.assign(this.over, { width, height });
      this.over.style.width = `${width / devicePixelRatio}px`;
      this.over.style.height = `${height / devicePixelRatio}px`;
      this.mark();
    }

    at(point) {
      return [this.plot.valToPos(point[0], "x", true), this.plot.valToPos(point[1], "y", true)];
    }

    clipped(context, work) {
      const box = this.plot.bbox;
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.width, box.height);
      context.clip();
      work();
      context.restore();
    }

    paint(context, item, paint, strong) {
      const scale = devicePixelRatio, places = item.places;
      context.strokeStyle = context.fillStyle = paint;
      context.lineWidth = (strong ? 2.5 : 1.2) * scale;
      context.setLineDash((DASHES[item.state] ?? []).map((part) => part * scale));
      if (places.length > 1) {
        context.beginPath();
        places.forEach(([x, y], index) => index ? context.lineTo(x, y) : context.moveTo(x, y));
        context.stroke();
      }
      context.setLineDash([]);
      if (strong && item.bars) {
        context.beginPath();
        for (const [from, to] of item.bars) { context.moveTo(...this.at(from)); context.lineTo(...this.at(to)); }
        context.stroke();
      }
      const end = places.at(-1);
      if (!end) return;
      context.lineWidth = 1.5 * scale;
      context.beginPath();
      MARKS[item.state](context, ...end, (strong ? 5 : 3) * scale);
      if (HOLLOW.has(item.state)) context.stroke();
      else context.fill();
    }

    draw() {
      const context = this.plot.ctx;
      this.clipped(context, () => {
        for (const line of this.shown.lines ?? []) {
          context.strokeStyle = colour("soft");
          context.lineWidth = devicePixelRatio;
          context.beginPath();
          line.map((point) => this.at(point)).forEach(([x, y], index) => index ? context.lineTo(x, y) : context.moveTo(x, y));
          context.stroke();
        }
        const alpha = Math.max(0.25, Math.min(0.9, 40 / Math.max(this.shown.items.length, 1)));
        // The best are drawn last, on top.
        for (const item of [...this.shown.items].sort((a, b) => b.c - a.c)) {
          item.places = item.points.map((point) => this.at(point));
          context.globalAlpha = matching[item.c] ? alpha : 0.05;
          this.paint(context, item, this.colours[item.c], false);
        }
        context.globalAlpha = 1;
      });
    }

    // Highlights are on a canvas of their own: the others need not be drawn again.
    mark() {
      if (!this.over) return;
      const context = this.over.getContext("2d");
      context.clearRect(0, 0, this.over.width, this.over.height);
      this.clipped(context, () => {
        const marked = (place, paint) => {
          for (const item of this.shown.items) if (item.c === place && item.places) this.paint(context, item, paint, true);
        };
        if (state.hover >= 0) marked(state.hover, colour("text"));
        state.picked.forEach((place, index) => marked(place, colour(index ? "second" : "accent")));
      });
    }

    redraw() { this.plot.redraw(false); }

    nearest(event) {
      const box = this.plot.over.getBoundingClientRect(), scale = devicePixelRatio;
      const x = (event.clientX - box.left) * scale + this.plot.bbox.left, y = (event.clientY - box.top) * scale + this.plot.bbox.top;
      let best = null, least = 18 * scale;
      for (const item of this.shown.items) {
        if (!matching[item.c] || !item.places) continue;
        for (let at = 0; at < item.places.length; at += 1) {
          const [px, py] = item.places[at], [nx, ny] = item.places[at + 1] ?? item.places[at];
          const dx = nx - px, dy = ny - py, along = dx || dy ? Math.max(0, Math.min(1, ((x - px) * dx + (y - py) * dy) / (dx * dx + dy * dy))) : 0;
          const away = Math.hypot(x - px - along * dx, y - py - along * dy);
          if (away < least) { least = away; best = item; }
        }
      }
      return best;
    }

    point(event) {
      const item = this.nearest(event);
      hover(item ? item.c : -1);
      if (item) showTip(`${candidates[item.c].rank}. ${candidates[item.c].name}\n${item.words}`, event.clientX, event.clientY);
      else hideTip();
    }
  }

  const choice = (label, options, key, chart) => {
    const select = make("select", { "aria-label": label, onchange: () => { state[key] = select.value; chart().build(); } },
      ...options.map(([name, text]) => make("option", { value: name }, text)));
    if (!options.some(([name]) => name === state[key])) state[key] = options[0]?.[0] ?? "";
    select.value = state[key];
    return make("label", {}, `${label} `, select);
  };

  const COSTS = [["latency", "latency, ms"], ["flops", "FLOPs"], ["parameters", "parameters"], ["epoch_seconds", "seconds per epoch of training"]];

  const setUpCharts = () => {
    const card = (name) => find(`[data-chart="${name}"]`);
    const predicted = data.predicts;
    const yText = predicted ? final : (score) => `${+score.toPrecision(3)}`;
    if (data.curves.length) {
      const stages = [...new Set(data.curves.map((curve) => curve.stage))];
      const evidence = stages.filter((stage) => stage !== "baseline");
      const options = [...stages.map((stage) => [stage, stage]), ...(evidence.length > 1 ? [["*", "all that is evidence"]] : [])];
      const size = (stage) => data.curves.filter((curve) => curve.stage === stage).length;
      // The evidence with the most trainings first: those of different lengths share no scale.
      state.stage ||= [...(evidence.length ? evidence : stages)].sort((a, b) => size(b) - size(a))[0];
      const chart = new Chart(card("curves"), () => ({
        items: data.curves.filter((curve) => state.stage === "*" ? curve.stage !== "baseline" : curve.stage === state.stage).map((curve) => ({
          c: curve.c, state: curve.state, words: `${curve.words}; last ${final(curve.y.at(-1))}`,
          points: curve.x.map((x, index) => [x, curve.y[index]]).filter((point) => known(point[1])) })),
        x: "epoch", y: data.metric, xText: (mark) => Number.isInteger(mark) ? `${mark}` : "", yText: final,
      }), [choice("stage", options, "stage", () => chart)]);
      charts.push(chart);
    } else card("curves").hidden = true;
    if (card("against")) {
      const items = () => candidates.map((one, c) => ({ c, one })).filter(({ one }) => known(one.measured) && known(predicted ? one.predicted : one.score));
      charts.push(new Chart(card("against"), () => {
        const found = items(), at = (one) => predicted ? one.predicted : one.score;
        const ends = padded(found.flatMap(({ one }) => [one.measured, at(one)]));
        return { items: found.map(({ c, one }) => ({ c, state: one.state, points: [[at(one), one.measured]],
          bars: known(one.low) ? [[[one.low, one.measured], [one.high, one.measured]]] : [],
          words: `predicted ${final(one.predicted)}${between(one.low, one.high)}\nmeasured ${final(one.measured)}` })),
        lines: predicted ? [[[ends[0], ends[0]], [ends[1], ends[1]]]] : [], note: predicted ? "line: predicted = measured" : "",
        x: predicted ? `predicted ${data.metric}` : "score", y: `measured ${data.metric}`, xText: yText, yText: final };
      }));
    }
    const costs = COSTS.filter(([key]) => candidates.some((one) => known(one[key])));
    if (!costs.length) { card("front").hidden = true; return; }
    const height = (one) => predicted ? one.predicted : one.score;
    const front = new Chart(card("front"), () => {
      const key = state.cost, found = candidates.map((one, c) => ({ c, one })).filter(({ one }) => known(one[key]) && known(height(one)));
      const sign = data.lower && predicted ? -1 : 1, line = [];
      let best = -Infinity;
      // Cheapest first; a candidate is on the front if it is better than all that are as cheap or cheaper.
      for (const { one } of [...found].sort((a, b) => a.one[key] - b.one[key] || sign * (height(b.one) - height(a.one)))) {
        if (sign * height(one) > best) {
          if (line.length) line.push([one[key], line.at(-1)[1]]);
          line.push([one[key], height(one)]);
          best = sign * height(one);
        }
      }
      const values = found.map(({ one }) => one[key]), log = Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
      return { items: found.map(({ c, one }) => ({ c, state: one.state, points: [[one[key], height(one)]],
        bars: known(one.low) && predicted ? [[[one[key], one.low], [one[key], one.high]]] : [],
        words: `${predicted ? `predicted ${final(one.predicted)}${between(one.low, one.high)}` : `score ${one.score}`}\n${COSTS.find(([name]) => name === key)[1]}: ${scaled(one[key])}` })),
      lines: line.length ? [line] : [], log, note: "line: front of the means",
      x: COSTS.find(([name]) => name === key)[1], y: predicted ? `predicted ${data.metric}` : "score", xText: scaled, yText };
    }, [choice("against", costs, "cost", () => front)]);
    charts.push(front);
  };

  // ---- dark and light

  const themeButton = find("#theme");
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { themeButton.textContent = isDark() ? "light" : "dark"; themeButton.setAttribute("aria-label", `use ${isDark() ? "light" : "dark"} colours`); };
  const rebuild = () => charts?.forEach((chart) => chart.build());
  try { const kept = localStorage.getItem("taurank-theme"); if (["dark", "light"].includes(kept)) root.dataset.theme = kept; } catch { /* no storage */ }
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("taurank-theme", root.dataset.theme); } catch { /* no storage */ }
    nameTheme();
    rebuild();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameTheme(); rebuild(); });

  // ---- start, and start again when a newer page has come

  const start = () => {
    data = JSON.parse(find("#data").textContent);
    charts = [];
    if (!data.candidates) return;
    candidates = data.candidates;
    rows = all("#table tbody tr");
    wins = Uint8Array.from(atob(data.wins), (sign) => sign.charCodeAt(0));
    matching = candidates.map(() => true);
    setUpTable();
    setUpCharts();
    // The page comes sorted by rank and whole.
    if (state.sort !== "rank" || state.down) sortRows();
    searchRows();
    if (state.picked.length) showPicked();
    else showChosen();
    for (const link of all(".pick")) {
      const place = Number(link.dataset.c);
      link.addEventListener("pointerover", () => hover(place));
      link.addEventListener("pointerleave", () => hover(-1));
      link.addEventListener("click", (event) => {
        event.preventDefault();
        if (!state.picked.includes(place)) pick(place);
        rows[place].scrollIntoView({ block: "nearest" });
      });
    }
    listening?.disconnect();
    listening = new ResizeObserver(() => charts.forEach((chart) => {
      const width = chart.place.clientWidth;
      if (width > 0 && width !== chart.plot.width) chart.plot.setSize({ width, height: 260 });
    }));
    charts.forEach((chart) => listening.observe(chart.place));
  };

  const refresh = async (tag) => {
    try {
      const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        const codes = state.picked.map((place) => candidates[place].code), top = find(".tall")?.scrollTop ?? 0;
        const focused = document.activeElement?.id;
        const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
        find("#main").replaceWith(newer.getElementById("main"));
        state.hover = -1;
        const found = JSON.parse(find("#data").textContent).candidates ?? [];
        state.picked = codes.map((code) => found.findIndex((one) => one.code === code)).filter((place) => place >= 0);
        start();
        if (find(".tall")) find(".tall").scrollTop = top;
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
        tag = answer.headers.get("ETag");
      }
    } catch { /* the server has ended; the page stays as it is */ }
    if (data.refresh) setTimeout(refresh, 1000 * data.refresh, tag);
  };

  nameTheme();
  start();
  if (data.refresh && location.protocol.startsWith("http")) setTimeout(refresh, 1000 * data.refresh, "");
})();
