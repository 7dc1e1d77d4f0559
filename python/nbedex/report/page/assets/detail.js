// The boundary chosen: its numbers, its two grains and their patterns, measured beside simulated.
"use strict";
(() => {
  const page = window.nbedexReport;
  const { facts } = page;
  const panel = document.getElementById("detail");
  if (!panel) return;
  const { element, show } = page;
  const REACH = 0.97; // share of the pattern's half width that the spots' frame reaches

  const pair = (term, ...value) => [element("dt", {}, term), element("dd", {}, ...value)];
  const percent = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);

  const classLine = (row) => {
    const now = page.inField(row);
    const style = facts.classes[now.code];
    const made = element("p", { class: "class-name" }, page.sample(style), element("b", {}, style.label));
    made.append(now.code ? ` probability ${percent(now.probability)}` : "");
    return made;
  };
  const numbers = (row) => {
    const b = facts.boundaries;
    const now = page.inField(row);
    const list = element("dl");
    list.append(...pair("class from traces", facts.classes[now.traces].label + (now.traces === now.code ? "" : " (differs)")));
    list.append(...pair("net accumulation a", `${show(now.accumulation)} ± ${show(now.sigma)}`));
    list.append(...pair(`probability of a ≥ ${facts.blocks_at}`, percent(now.blocks)));
    list.append(...pair("most piles up at", b.worst_deg[row] === null ? "no field" : `${show(b.worst_deg[row], 0)}°, a = ${show(b.worst[row])}`));
    list.append(...pair("length", `${show(b.length[row], 1)} ${facts.unit}`));
    list.append(...pair("kind", b.kind[row] + (b.twin[row] ? ", twin" : "")));
    if (b.omega[row] !== null) list.append(...pair("disorientation ω", `${show(b.omega[row], 1)}°`));
    if (b.omega[row] !== null) list.append(...pair(`its axis in crystal ${b.a[row]}`, `(${b.axis[row].map((v) => show(v)).join(", ")})`));
    if (b.kind[row] !== "phase") list.append(...pair("coincidence", b.csl[row] ?? "general"));
    list.append(...pair("planes in space ψ", b.psi[row] === null ? "–" : `${show(b.psi[row], 1)}°`));
    list.append(...pair("their traces Δθ", b.delta_theta[row] === null ? "–" : `${show(b.delta_theta[row], 1)}°`));
    if (b.crowding) list.append(...pair("current beside it / mean", show(b.crowding[row])));
    return list;
  };
  const grainTable = (row) => {
    const b = facts.boundaries;
    const numbers_ = [b.a[row], b.b[row]];
    const grains = numbers_.map((g) => facts.grains[g]);
    const table = element("table");
    const head = element("tr", {}, element("td"), ...numbers_.map((g) => element("th", { scope: "col" }, `grain ${g}`)));
    table.append(element("thead", {}, head));
    const body = element("tbody");
    const add = (term, cell) => body.append(element("tr", {}, element("th", { scope: "row" }, term), ...grains.map((g, i) => element("td", {}, ...[cell(g, i)].flat()))));
    add("phase", (g) => g.phase ?? g.role ?? "–");
    add("diameter", (g) => `${show(g.diameter, 1)} ${facts.unit}`);
    add("φ₁ Φ φ₂ / °", (g) => g.euler.map((a) => show(a, 1)).join(" "));
    add("zone axis", (g) => (g.zone ? [page.indices(g.zone), ` + ${show(g.zone_off, 1)}°`] : "–"));
    add("plane α, θ / °", (g) => (g.alpha === null ? "none" : `${show(g.alpha, 1)}, ${show(g.theta, 1)}`));
    add("to boundary / °", (g, i) => show([b.plane_a, b.plane_b][i][row], 1));
    add("spread, error / °", (g) => `${show(g.spread)}, ${show(g.error)}`);
    table.append(body);
    return table;
  };

  // Patterns are drawn dark on light, as films were
  const blank = (size, name) => {
    const canvas = element("canvas", { width: size, height: size, role: "img", "aria-label": name });
    const context = canvas.getContext("2d");
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, size, size);
    return [canvas, context];
  };
  const measured = (grain) => {
    const at = facts.patterns ? page.arrays.pattern_grain.indexOf(grain) : -1;
    if (at < 0) return null;
    const { size } = facts.patterns;
    const [canvas, context] = blank(size, `Measured pattern of grain ${grain}`);
    const image = context.createImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      const value = 255 - page.arrays.pattern_image[at * size * size + i];
      image.data.set([value, value, value, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    canvas.style.imageRendering = "pixelated";
    return [canvas, `measured, mean of ${page.arrays.pattern_pixels[at]}`];
  };
  // 1/angstrom from the middle of the picture to its edge
  const half = (grain) => {
    if (facts.patterns) return ((facts.patterns.size - 1) / 2 + 0.5) * facts.patterns.pixel;
    const { spot_offset, spot_position } = page.arrays;
    let reach = 0.1;
    for (let i = 2 * spot_offset[grain]; i < 2 * spot_offset[grain + 1]; i++) reach = Math.max(reach, Math.abs(spot_position[i]));
    return reach / REACH;
  };
  const simulated = (grain) => {
    const { spot_offset, spot_position, spot_intensity } = page.arrays;
    if (!spot_offset || spot_offset[grain] === spot_offset[grain + 1]) return null;
    const size = 384;
    const [canvas, context] = blank(size, `Simulated pattern of grain ${grain}`);
    const scale = size / 2 / half(grain);
    context.fillStyle = "#1b2228";
    context.beginPath();
    context.arc(size / 2, size / 2, 7, 0, 2 * Math.PI);
    context.stroke();
    for (let spot = spot_offset[grain]; spot < spot_offset[grain + 1]; spot++) {
      context.beginPath();
      context.arc(size / 2 + scale * spot_position[2 * spot], size / 2 + scale * spot_position[2 * spot + 1], 1 + (7 * spot_intensity[spot]) / 255, 0, 2 * Math.PI);
      context.fill();
    }
    const bar = 0.5 * scale;
    context.fillRect(14, size - 20, bar, 5);
    context.font = "17px system-ui, sans-serif";
    context.fillText("0.5 Å⁻¹", 14, size - 28);
    return [canvas, "simulated, mean orientation"];
  };
  const patterns = (row) => {
    const box = element("div", { class: "patterns" });
    for (const grain of [facts.boundaries.a[row], facts.boundaries.b[row]]) {
      for (const made of [measured(grain), simulated(grain)]) {
        if (made) box.append(element("figure", {}, made[0], element("figcaption", {}, `Grain ${grain}: ${made[1]}`)));
      }
    }
    return box;
  };

  const fill = () => {
    const row = page.chosen;
    if (row < 0) return;
    const b = facts.boundaries;
    panel.replaceChildren(element("h3", {}, `Boundary ${row}: grains ${b.a[row]} and ${b.b[row]}`), classLine(row), numbers(row), grainTable(row), patterns(row));
  };
  page.choiceWatchers.push(fill);
  page.fieldWatchers.push(() => {
    if (page.chosen < 0) return;
    panel.querySelector(".class-name").replaceWith(classLine(page.chosen));
    panel.querySelector("dl").replaceWith(numbers(page.chosen));
  });
})();
