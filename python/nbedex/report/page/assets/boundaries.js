// The boundary network: its lines, their class in the field chosen, the slider, the legend, and which line is where.
"use strict";
(() => {
  const page = window.nbedexReport;
  const { facts } = page;
  if (!facts.n_boundaries) return;
  const slider = document.getElementById("field");
  const colourBy = document.getElementById("colour-by");
  const background = document.getElementById("background");
  let boxes = null;

  // A line's ends and points, and the box around it
  const build = () => {
    const { points, offset } = page.arrays;
    const xs = [];
    const ys = [];
    boxes = new Float64Array(4 * facts.n_stretches);
    for (let k = 0; k < facts.n_stretches; k++) {
      const x = [];
      const y = [];
      for (let p = offset[k]; p < offset[k + 1]; p++) {
        x.push(points[2 * p]);
        y.push(points[2 * p + 1]);
      }
      xs.push(x);
      ys.push(y);
      boxes.set([Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)], 4 * k);
    }
    return { xs, ys };
  };
  const squareToPiece = (x, y, ax, ay, bx, by) => {
    const dx = bx - ax;
    const dy = by - ay;
    const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    return (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2;
  };
  // Number of the boundary nearest to a place and within a distance of it, -1 if there is none
  page.boundaryAt = (x, y, within) => {
    const { points, offset, segment } = page.arrays;
    let best = within * within;
    let found = -1;
    for (let k = 0; k < facts.n_stretches; k++) {
      const [l, r, t, b] = boxes.subarray(4 * k, 4 * k + 4);
      if (x < l - within || x > r + within || y < t - within || y > b + within) continue;
      for (let p = offset[k]; p < offset[k + 1] - 1; p++) {
        const square = squareToPiece(x, y, points[2 * p], points[2 * p + 1], points[2 * p + 2], points[2 * p + 3]);
        if (square < best) { best = square; found = segment[k]; }
      }
    }
    return found;
  };

  // Thinner lines where boundaries are dense: 1 where they are some 45 pixels long on the screen
  let weight = 1;
  const weigh = () => {
    const { xRange } = page.models;
    const map = document.querySelector('[data-map="network"]');
    const length = page.arrays.stretch_length.reduce((sum, own) => sum + own, 0) / facts.n_boundaries;
    return Math.max(0.4, Math.min(1, (length * map.clientWidth) / (xRange.end - xRange.start) / 45));
  };
  const reweigh = () => {
    const now = weigh();
    if (Math.abs(now - weight) < 0.05) return;
    weight = now;
    page.models.renderers.casing.glyph.line_width = 5.5 * weight;
    draw();
  };

  const blueToRed = (value) => {
    const ends = value < 0 ? [33, 102, 172] : [178, 24, 43];
    const share = Math.min(1, Math.abs(value)) ** 0.8;
    return `rgb(${ends.map((end) => Math.round(178 + (end - 178) * share)).join(",")})`;
  };
  // Colour, dash and width of every line in the field chosen
  const styles = () => {
    const { arrays } = page;
    const table = colourBy.value === "traces" ? arrays.stretch_traces : arrays.stretch_class;
    const made = { colour: [], dash: [], width: [], unsure: [] };
    for (let k = 0; k < facts.n_stretches; k++) {
      const code = table[360 * k + page.field];
      if (colourBy.value === "accumulation") {
        const a = page.accumulation(arrays.stretch_vector, k);
        made.colour.push(Number.isNaN(a) ? "#999999" : blueToRed(a));
        made.dash.push([]);
        made.width.push(Number.isNaN(a) ? 1 : 1.2 + 4 * Math.min(1, Math.abs(a)));
      } else {
        const style = facts.classes[code];
        made.colour.push(style.colour);
        made.dash.push(style.dash);
        made.width.push(style.blocking ? 5 : code ? 2.6 : 1.6);
      }
      made.unsure.push(colourBy.value === "class" && code && arrays.stretch_unsure[360 * k + page.field] ? 1 : 0);
    }
    made.width = made.width.map((width) => width * weight);
    return made;
  };
  const legend = () => {
    const list = document.getElementById("legend");
    const accumulation = colourBy.value === "accumulation";
    document.getElementById("accumulation-bar").hidden = !accumulation;
    list.hidden = accumulation;
    for (const part of document.querySelectorAll("[data-of]")) part.hidden = !part.dataset.of.split(" ").includes(colourBy.value);
    const table = colourBy.value === "traces" ? page.arrays.stretch_traces : page.arrays.stretch_class;
    const length = new Float64Array(facts.classes.length);
    let total = 0;
    let blocks = 0;
    for (let k = 0; k < facts.n_stretches; k++) {
      const own = page.arrays.stretch_length[k];
      length[table[360 * k + page.field]] += own;
      total += own;
      if (page.accumulation(page.arrays.stretch_vector, k) >= facts.blocks_at) blocks += own;
    }
    list.replaceChildren(...facts.classes.flatMap((style, code) => {
      if (!length[code]) return [];
      const item = page.element("li", style.blocking ? { class: "much" } : {});
      item.append(page.sample(style), `${style.label}  ${((100 * length[code]) / total).toFixed(1)} %`);
      return [item];
    }));
    document.getElementById("blocked").textContent = `${((100 * blocks) / total).toFixed(1)} % of all boundary length blocks`;
  };
  const draw = () => {
    page.models.lines.data = { ...page.models.lines.data, ...styles() };
    legend();
  };
  const showField = () => {
    const { models, field } = page;
    slider.value = field;
    document.getElementById("field-value").textContent = `${field}°`;
    document.getElementById("needle").setAttribute("transform", `rotate(${field})`);
    const angle = (field * Math.PI) / 180;
    models.fieldLine.data = { x: [-Math.cos(angle), Math.cos(angle)], y: [-Math.sin(angle), Math.sin(angle)] };
    models.marker.location = field;
    draw();
  };
  const mark = () => {
    const rows = [];
    for (let k = 0; k < facts.n_stretches; k++) if (page.arrays.segment[k] === page.chosen) rows.push(k);
    const { xs, ys } = page.models.lines.data;
    page.models.selected.data = { xs: rows.map((k) => xs[k]), ys: rows.map((k) => ys[k]) };
  };

  page.starters.push(() => {
    const { models } = page;
    const empty = Array.from({ length: facts.n_stretches });
    models.lines.data = { ...build(), colour: empty.map(() => "#000000"), dash: empty.map(() => []), width: empty.map(() => 1), unsure: empty.map(() => 0) };
    page.fieldWatchers.unshift(showField);
    page.choiceWatchers.push(mark);
    slider.addEventListener("input", () => page.setField(Number(slider.value)));
    colourBy.addEventListener("change", draw);
    background.addEventListener("change", () => {
      for (const name of ["grains", "phase", "ipf"]) models.renderers[`background-${name}`].visible = name === background.value;
    });
    document.getElementById("show-traces").addEventListener("change", (event) => {
      for (const renderer of models.renderers["network-traces"]) renderer.visible = event.target.checked;
    });
    const sweep = document.querySelector("#boundaries .chart-panel .drawing");
    sweep?.addEventListener("click", (event) => {
      const frame = page.viewOf(sweep)?.frame?.bbox;
      if (!frame) return;
      const box = sweep.getBoundingClientRect();
      page.setField(Math.max(0, Math.min(359, (360 * (event.clientX - box.left - frame.left)) / frame.width)));
    });
    let waiting = 0;
    models.xRange.properties.end.change.connect(() => {
      clearTimeout(waiting);
      waiting = setTimeout(reweigh, 150);
    });
    page.setField(page.field);
    reweigh();
  });
})();
