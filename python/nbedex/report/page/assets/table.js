// The table of boundaries: sorted, filtered, walked by keys, and downloaded as CSV.
"use strict";
(() => {
  const page = window.nbedexReport;
  const { facts } = page;
  const table = document.getElementById("table");
  if (!table) return;
  const { element, show } = page;
  const PER_PAGE = 100;
  const b = facts.boundaries;
  const phaseOf = (g) => facts.grains[g].phase ?? facts.grains[g].role ?? "";
  const named = (code) => (code ? facts.classes[code].label : "");
  const percent = (value) => (value === null ? null : 100 * value);

  // key, heading, heading in CSV, value of a row, decimals (none: text)
  const columns = [
    ["row", "#", "boundary", (row) => row, 0],
    ["grains", "grains", "grains", (row) => `${b.a[row]}/${b.b[row]}`],
    ["phases", "phases", "phases", (row) => [...new Set([phaseOf(b.a[row]), phaseOf(b.b[row])])].join(" / ")],
    ["length", `L / ${facts.unit}`, `length (${facts.unit})`, (row) => b.length[row], 1],
    ["omega", "ω / °", "disorientation (deg)", (row) => b.omega[row], 1],
    ["csl", "Σ", "CSL", (row) => b.csl[row] ?? ""],
    ["psi", "ψ / °", "psi between planes in space (deg)", (row) => b.psi[row], 1],
    ["delta_theta", "Δθ / °", "delta theta between traces (deg)", (row) => b.delta_theta[row], 1],
    ["class", "class", "class from planes in space", (row) => named(page.inField(row).code)],
    ["probability", "P / %", "probability of this class (percent)", (row) => (page.inField(row).code ? percent(page.inField(row).probability) : null), 0],
    ["traces", "from traces", "class from traces", (row) => named(page.inField(row).traces)],
    ["accumulation", "a", "net accumulation", (row) => page.inField(row).accumulation, 2],
    ["blocks", "P(blocks)", "probability that it blocks (percent)", (row) => percent(page.inField(row).blocks), 0],
    ["worst_deg", "worst / °", "field in which most piles up (deg)", (row) => b.worst_deg[row], 0],
  ];
  if (b.crowding) columns.push(["crowding", "current", "current beside it over the mean", (row) => b.crowding[row], 2]);
  const changing = new Set(["class", "probability", "traces", "accumulation", "blocks"]);
  let sorted = ["length", false]; // key, ascending
  let rows = [];
  let first = 0;

  const missing = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
  const byText = new Intl.Collator(undefined, { numeric: true });
  const arrange = () => {
    const wanted = document.getElementById("filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const blocking = document.getElementById("only-blocking").checked;
    const [, , , value] = columns.find(([key]) => key === sorted[0]);
    rows = [];
    for (let row = 0; row < facts.n_boundaries; row++) {
      const now = page.inField(row);
      if (blocking && !(now.accumulation >= facts.blocks_at || facts.classes[now.code].blocking)) continue;
      const grains = [String(b.a[row]), String(b.b[row])];
      const text = [facts.classes[now.code].label, phaseOf(b.a[row]), phaseOf(b.b[row]), b.kind[row], b.csl[row] ?? "", b.twin[row] ? "twin" : ""].join(" ").toLowerCase();
      const whole = `${grains[0]}/${grains[1]}`;
      if (wanted.every((word) => (/^\d+$/.test(word) ? grains.includes(word) : word === whole || text.includes(word)))) rows.push([row, value(row)]);
    }
    const sign = sorted[1] ? 1 : -1;
    rows.sort(([r, x], [s, y]) => {
      if (missing(x) || missing(y)) return missing(x) - missing(y) || r - s; // without a value: always last
      return sign * (typeof x === "string" ? byText.compare(x, y) : x - y) || r - s;
    });
    rows = rows.map(([row]) => row);
  };
  const cell = ([key, , , value, decimals], row) => {
    const shown = value(row);
    const made = element("td", decimals === undefined ? { class: "text" } : {}, missing(shown) ? "–" : decimals === undefined ? shown : show(shown, decimals));
    if (key === "class" && page.inField(row).code) made.prepend(page.sample(facts.classes[page.inField(row).code], 26));
    return made;
  };
  const fill = (all = false) => {
    const last = all ? rows.length : Math.min(first + PER_PAGE, rows.length);
    const body = table.tBodies[0];
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.row : null;
    body.replaceChildren(...rows.slice(all ? 0 : first, last).map((row, place) => {
      const made = element("tr", { "data-row": row, tabindex: place ? -1 : 0, "aria-selected": String(row === page.chosen) });
      made.append(...columns.map((column) => cell(column, row)));
      return made;
    }));
    if (focused !== null) body.querySelector(`[data-row="${focused}"]`)?.focus();
    document.getElementById("count").textContent = `${rows.length} of ${facts.n_boundaries}`;
    document.getElementById("page").textContent = rows.length > PER_PAGE ? `${first + 1} to ${last}` : "";
    document.querySelector(".pages").hidden = rows.length <= PER_PAGE;
    document.getElementById("previous").disabled = first === 0;
    document.getElementById("next").disabled = last >= rows.length;
  };
  const renew = () => { first = 0; arrange(); fill(); };
  const head = () => {
    const line = element("tr");
    for (const [key, heading, , , decimals] of columns) {
      const button = element("button", { type: "button" }, heading);
      const made = element("th", { scope: "col", "data-key": key, ...(decimals === undefined ? { class: "text" } : {}) }, button);
      button.addEventListener("click", () => {
        sorted = [key, sorted[0] === key ? !sorted[1] : decimals === undefined || key === "row"];
        marks();
        renew();
      });
      line.append(made);
    }
    table.tHead.replaceChildren(line);
    marks();
  };
  const marks = () => {
    for (const th of table.tHead.rows[0].cells) {
      if (th.dataset.key === sorted[0]) th.setAttribute("aria-sort", sorted[1] ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    }
  };
  const mark = () => {
    for (const row of table.tBodies[0].rows) row.setAttribute("aria-selected", String(Number(row.dataset.row) === page.chosen));
  };
  // Numbers as they are, texts quoted; one that a spreadsheet would take for a formula is disarmed
  const csvCell = (value, decimals) => {
    if (missing(value)) return "";
    if (decimals !== undefined) return String(Number(value.toFixed(Math.max(decimals, 3))));
    const text = /^[=+@-]/.test(value) ? `'${value}` : value;
    return `"${text.replaceAll('"', '""')}"`;
  };
  page.csv = () => [
    columns.map(([, , heading]) => heading).concat("field (deg)").join(","),
    ...rows.map((row) => columns.map(([, , , value, decimals]) => csvCell(value(row), decimals)).concat(page.field).join(",")),
  ].join("\r\n") + "\r\n";

  page.starters.push(() => {
    head();
    renew();
    page.fieldWatchers.push(() => {
      const blocking = document.getElementById("only-blocking").checked;
      const filtered = document.getElementById("filter").value.trim() !== "";
      if (blocking || filtered || changing.has(sorted[0])) arrange();
      fill();
    });
    page.choiceWatchers.push(mark);
    const body = table.tBodies[0];
    body.addEventListener("click", (event) => page.choose(Number(event.target.closest("tr").dataset.row)));
    body.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr");
      const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild }[event.key];
      if (next !== undefined) next?.focus();
      else if (event.key === "Enter" || event.key === " ") page.choose(Number(row.dataset.row));
      else return;
      event.preventDefault();
    });
    document.getElementById("filter").addEventListener("input", renew);
    document.getElementById("only-blocking").addEventListener("change", renew);
    document.getElementById("previous").addEventListener("click", () => { first = Math.max(0, first - PER_PAGE); fill(); });
    document.getElementById("next").addEventListener("click", () => { first += PER_PAGE; fill(); });
    document.getElementById("download").addEventListener("click", () => {
      const link = element("a", { href: URL.createObjectURL(new Blob([page.csv()], { type: "text/csv" })), download: `boundaries-field-${page.field}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    window.addEventListener("beforeprint", () => fill(true));
    window.addEventListener("afterprint", () => fill());
  });
})();
