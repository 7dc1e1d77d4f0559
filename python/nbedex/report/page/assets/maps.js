// All maps: zoom by buttons and keys, numbers of the pixel or boundary under the pointer, a click that chooses.
"use strict";
(() => {
  const page = window.nbedexReport;
  const { facts } = page;
  const [left, right, top, bottom] = facts.view;
  const tip = document.getElementById("tip");
  const NEAR = 7; // pixels on the screen from a boundary
  const LARGEST_ZOOM = 200;

  const ranges = () => [page.models.xRange, page.models.yRange];
  const zoom = (factor, x, y) => {
    const [xr, yr] = ranges();
    const cx = x ?? (xr.start + xr.end) / 2;
    const cy = y ?? (yr.start + yr.end) / 2;
    if (factor < 1 && (xr.end - xr.start) * factor < (right - left) / LARGEST_ZOOM) return;
    xr.setv({ start: cx + (xr.start - cx) * factor, end: cx + (xr.end - cx) * factor });
    yr.setv({ start: cy + (yr.start - cy) * factor, end: cy + (yr.end - cy) * factor });
  };
  const pan = (across, down) => {
    const [xr, yr] = ranges();
    const dx = across * (xr.end - xr.start);
    const dy = down * (yr.start - yr.end);
    xr.setv({ start: xr.start + dx, end: xr.end + dx });
    yr.setv({ start: yr.start + dy, end: yr.end + dy });
  };
  const showAll = () => {
    const [xr, yr] = ranges();
    xr.setv({ start: left, end: right });
    yr.setv({ start: bottom, end: top });
  };

  // Where the pointer is, in the map's unit
  const place = (map, event) => {
    const box = map.querySelector(".drawing").getBoundingClientRect();
    const [xr, yr] = ranges();
    const unit = (xr.end - xr.start) / box.width;
    return { x: xr.start + (event.clientX - box.left) * unit, y: yr.end + (event.clientY - box.top) * unit, unit };
  };
  // Index of the pixel at a place of an image (rows, columns) over an extent, -1 outside
  const pixelAt = (x, y, [rows, columns], [l, r, t, b]) => {
    const column = Math.floor(((x - l) / (r - l)) * columns);
    const row = Math.floor(((y - t) / (b - t)) * rows);
    return column >= 0 && column < columns && row >= 0 && row < rows ? row * columns + column : -1;
  };
  page.pixelAt = (x, y) => pixelAt(x, y, facts.shape, facts.extent);
  const decoded = (key, x, y) => {
    const { low, high, log, shape, extent } = facts.numbers[key];
    const pixel = pixelAt(x, y, shape, extent);
    const code = pixel < 0 ? 0 : page.arrays[`numbers_${key}`][pixel];
    if (code === 0 || code === 65535) return null;
    const value = low + ((code - 1) / 65533) * (high - low);
    return log ? 10 ** value : value;
  };
  page.decoded = decoded;

  const line = (name, value) => page.element("div", {}, page.element("span", {}, name), page.element("span", {}, value));
  const shownNumber = (key, value) => (facts.numbers[key].log ? value.toPrecision(3) : value.toFixed(Math.abs(value) >= 10 ? 1 : 3)).replace("-", "−");
  const pixelLines = (x, y) => {
    const pixel = page.pixelAt(x, y);
    const rows = [];
    if (pixel >= 0) {
      const columns = facts.shape[1];
      const grain = page.arrays.grain[pixel];
      const phase = page.arrays.phase[pixel];
      rows.push(line("row, column", `${Math.floor(pixel / columns) * facts.every}, ${(pixel % columns) * facts.every}`));
      rows.push(line("grain", facts.grains[grain].role ? `${grain}, ${facts.grains[grain].role}` : String(grain)));
      rows.push(line("phase", phase ? facts.phases[phase - 1].name : "not indexed"));
      const angles = [0, 1, 2].map((i) => page.arrays.euler[3 * pixel + i]);
      if (angles[0] !== 65535) rows.push(line("φ₁ Φ φ₂", `${angles.map((a) => (a / 100).toFixed(1)).join("  ")}°`));
    }
    for (const [key, { name, unit }] of Object.entries(facts.numbers)) {
      const value = decoded(key, x, y);
      if (value !== null) rows.push(line(name, shownNumber(key, value) + unit));
    }
    return rows;
  };
  const boundaryLines = (row) => {
    const b = facts.boundaries;
    const now = page.inField(row);
    const rows = [page.element("b", {}, `Boundary ${b.a[row]} / ${b.b[row]}`)];
    rows.push(line("class in space", facts.classes[now.code].label));
    if (now.traces !== now.code) rows.push(line("from traces", facts.classes[now.traces].label));
    if (b.omega[row] !== null) rows.push(line("disorientation ω", `${page.show(b.omega[row], 1)}°`));
    if (b.csl[row]) rows.push(line("coincidence", b.csl[row]));
    if (b.psi[row] !== null) rows.push(line("ψ, Δθ", `${page.show(b.psi[row], 1)}°, ${page.show(b.delta_theta[row], 1)}°`));
    rows.push(line("accumulation a", page.show(now.accumulation)));
    rows.push(line("length", `${page.show(b.length[row], 1)} ${facts.unit}`));
    rows.push(page.element("hr"));
    return rows;
  };
  const showTip = (event, rows) => {
    tip.replaceChildren(...rows);
    tip.hidden = rows.length === 0;
    const box = tip.getBoundingClientRect();
    const x = event.clientX + 16 + box.width > window.innerWidth ? event.clientX - box.width - 14 : event.clientX + 16;
    const y = Math.max(4, Math.min(event.clientY + 14, window.innerHeight - box.height - 6));
    tip.style.left = `${Math.max(4, x)}px`;
    tip.style.top = `${y}px`;
  };

  const listen = (map) => {
    let pressed = null;
    map.addEventListener("pointermove", (event) => {
      if (!page.models || event.buttons) return showTip(event, []);
      const { x, y, unit } = place(map, event);
      const row = page.boundaryAt ? page.boundaryAt(x, y, NEAR * unit) : -1;
      showTip(event, [...(row >= 0 ? boundaryLines(row) : []), ...pixelLines(x, y)]);
    }, true);
    map.addEventListener("pointerleave", () => { tip.hidden = true; });
    map.addEventListener("pointerdown", (event) => { pressed = [event.clientX, event.clientY]; }, true);
    map.addEventListener("pointerup", (event) => {
      if (!pressed || Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4) return;
      const { x, y, unit } = place(map, event);
      const row = page.boundaryAt ? page.boundaryAt(x, y, NEAR * unit) : -1;
      if (row >= 0) page.choose(row);
    }, true);
    map.addEventListener("dblclick", (event) => {
      const { x, y } = place(map, event);
      zoom(0.5, x, y);
    }, true);
    map.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      if (event.key in steps) pan(...steps[event.key]);
      else if (event.key === "+" || event.key === "=") zoom(0.8);
      else if (event.key === "-") zoom(1.25);
      else if (event.key === "0") showAll();
      else return;
      event.preventDefault();
    });
  };

  // Numbers of grains that have room for them
  const label = () => {
    const source = page.models.renderers.labels;
    const map = document.querySelector('[data-map="grains"]');
    if (!source || !map) return;
    const [xr] = ranges();
    const scale = map.clientWidth / (xr.end - xr.start);
    const data = { x: [], y: [], text: [] };
    facts.grains.forEach((grain, number) => {
      const text = String(number);
      if (grain.role && grain.role !== "electrode" && grain.role !== "insulator") return;
      if (2 * grain.deep * scale < 6.5 * text.length + 6) return;
      data.x.push(grain.x);
      data.y.push(grain.y);
      data.text.push(text);
    });
    source.data = data;
  };

  page.starters.push(() => {
    document.querySelectorAll(".map").forEach(listen);
    const { xRange, renderers } = page.models;
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; label(); });
    };
    xRange.properties.end.change.connect(soon);
    window.addEventListener("resize", soon);
    label();
    document.querySelectorAll("[data-zoom]").forEach((button) => {
      const does = { in: () => zoom(0.7), out: () => zoom(1 / 0.7), all: showAll };
      button.addEventListener("click", does[button.dataset.zoom]);
    });
    const axis = document.getElementById("ipf-axis");
    axis?.addEventListener("change", () => {
      for (const name of "zxy") renderers[`ipf-${name}`].visible = name === axis.value;
    });
  });
})();
