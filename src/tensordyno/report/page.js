"use strict";
(() => {
  const root = document.documentElement;
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const asked = new URLSearchParams(location.search).get("theme");
  let printing = false;

  // ---- theme: the system's, unless the reader chose one -------------------------------------
  const remember = (value) => { try { localStorage.setItem("dyno-theme", value); } catch { /* private mode */ } };
  const recall = () => { try { return localStorage.getItem("dyno-theme"); } catch { return null; } };
  const chosen = asked || recall();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  const theme = () => printing ? "light" : root.dataset.theme || (systemDark.matches ? "dark" : "light");
  const toggle = document.getElementById("theme");
  const nameToggle = () => { toggle.textContent = theme() === "dark" ? "Light theme" : "Dark theme"; };
  toggle.hidden = false;
  nameToggle();
  toggle.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    remember(root.dataset.theme);
    nameToggle();
    redraw();
  });
  systemDark.addEventListener("change", () => { nameToggle(); redraw(); });

  // ---- charts: refitted to the window, redrawn for the theme --------------------------------
  const charts = [...document.querySelectorAll(".chart[data-spec]")];
  const setWidth = (view, width) => {
    if (typeof view.width === "number") view.width = width;
    for (const key of ["layer", "concat", "vconcat", "hconcat"]) (view[key] || []).forEach((v) => setWidth(v, width));
  };
  const fitted = (box) => {
    const spec = JSON.parse(document.getElementById(box.dataset.spec).textContent);
    const { columns, width, margin } = spec.usermeta;
    const room = box.clientWidth - 8;
    const least = Math.min(width, 150);
    let count = columns;
    while (count > 1 && room / count < least + margin + 24) count -= 1;
    spec.columns = count;
    const each = Math.floor((room - 28 * (count - 1)) / count) - margin;
    setWidth(spec, Math.max(Math.min(each, 2 * width), 90));
    return spec;
  };
  const draw = async (box) => {
    box.dataset.drawn = `${theme()} ${box.clientWidth}`;
    const config = structuredClone(themes[theme()]);
    if (box.clientWidth < 560) Object.assign(config.legend, { columns: 2, layout: { top: { direction: "vertical", anchor: "start" } } });
    const options = { renderer: "svg", config, actions: { export: true, source: false, compiled: false, editor: false }, tooltip: { theme: "custom" }, downloadFileName: box.id };
    try {
      const old = box.view;
      const host = box.firstElementChild || box.appendChild(document.createElement("div"));
      const made = await vegaEmbed(host, fitted(box), options);
      if (old) old.finalize();
      box.view = made.view;
    } catch (error) {
      box.textContent = `This chart could not be drawn (${error.message}). The table below holds its numbers.`;
    }
  };
  // One after the other, so that the page stays responsive; a later call replaces an earlier one.
  let turn = 0;
  const redraw = async () => {
    const mine = ++turn;
    for (const box of charts) {
      if (mine !== turn) return;
      if (box.dataset.drawn !== `${theme()} ${box.clientWidth}`) await draw(box);
    }
  };
  redraw();
  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
  window.addEventListener("beforeprint", () => { printing = true; redraw(); });
  window.addEventListener("afterprint", () => { printing = false; redraw(); });

  // ---- the table of trials: sort, search, page ----------------------------------------------
  const table = document.getElementById("trial-table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => row.dataset.verdict);
    const because = new Map(rows.map((row) => [row, row.nextElementSibling?.className === "because" ? [row.nextElementSibling] : []]));
    const size = Number(table.dataset.page);
    const search = document.getElementById("trial-search");
    const status = document.getElementById("trial-status");
    const pages = document.getElementById("trial-pages");
    const [back, on] = pages.querySelectorAll("button");
    let page = 0;
    let matching = rows;
    const show = () => {
      const last = Math.max(0, Math.ceil(matching.length / size) - 1);
      page = Math.min(page, last);
      const shown = new Set(matching.slice(page * size, (page + 1) * size));
      rows.forEach((row) => [row, ...because.get(row)].forEach((each) => { each.hidden = !shown.has(row); }));
      pages.hidden = last === 0;
      back.disabled = page === 0;
      on.disabled = page === last;
      const from = matching.length ? page * size + 1 : 0;
      const count = matching.length === rows.length ? rows.length : `${matching.length} of ${rows.length}`;
      status.textContent = last === 0 ? `${count} rows` : `rows ${from} to ${Math.min((page + 1) * size, matching.length)} of ${matching.length}`;
    };
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      matching = rows.filter((row) => { const text = [row, ...because.get(row)].map((each) => each.textContent).join(" ").toLowerCase(); return words.every((w) => text.includes(w)); });
      page = 0;
      show();
    });
    back.addEventListener("click", () => { page -= 1; show(); });
    on.addEventListener("click", () => { page += 1; show(); });
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const first = numeric && !head.dataset.low ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
      heads.forEach((h) => h.setAttribute("aria-sort", h === head ? order : "none"));
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => { const cell = row.cells[column]; return numeric ? Number(cell?.dataset.k ?? -1) : cell.textContent; };
      const keyed = rows.map((row) => [key(row), row]);
      keyed.sort(([a], [b]) => numeric ? (a < 0 || b < 0 ? (a < 0) - (b < 0) : sign * (a - b)) : sign * a.localeCompare(b));
      rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
      body.append(...rows.flatMap((row) => [row, ...because.get(row)]));
      const kept = new Set(matching);
      matching = rows.filter((row) => kept.has(row));
      page = 0;
      show();
    }));
    document.getElementById("trial-tools").hidden = false;
    show();
  }
})();
