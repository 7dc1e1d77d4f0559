// What the page knows: plain facts, arrays, the field and the boundary chosen. The other files hang on to it.
"use strict";
window.nbedexReport = (() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const page = { facts, arrays: {}, models: null, field: Math.round(facts.field) % 360, chosen: -1, starters: [], fieldWatchers: [], choiceWatchers: [] };

  // Accumulation is linear in the field: a = v . E
  page.accumulation = (vectors, row, degree = page.field) => {
    const angle = (degree * Math.PI) / 180;
    return vectors[2 * row] * Math.cos(angle) + vectors[2 * row + 1] * Math.sin(angle);
  };
  const at = (name, row) => page.arrays[name][360 * row + page.field];
  // Everything about a boundary that depends on the field, as looked up
  page.inField = (row) => {
    const known = (value) => (value === 255 ? null : value / 100);
    return {
      code: at("segment_class", row),
      traces: at("segment_traces", row),
      probability: known(at("probability", row)),
      blocks: known(at("blocks", row)),
      sigma: at("sigma", row) / 200,
      accumulation: page.accumulation(page.arrays.segment_vector, row),
    };
  };
  page.setField = (degree) => {
    page.field = ((Math.round(degree) % 360) + 360) % 360;
    page.fieldWatchers.forEach((watch) => watch());
  };
  page.choose = (row) => {
    page.chosen = row;
    page.choiceWatchers.forEach((watch) => watch());
  };
  page.show = (value, digits = 2) => (value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits).replace("-", "−"));
  page.element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  // Bokeh's view of the figure in an element
  page.viewOf = (drawing) => {
    const { figures, others } = page.models;
    const model = [...figures, ...others].find((figure) => figure.name === drawing.dataset.figure);
    return model ? window.Bokeh.index.find_one(model) : null;
  };
  // A short line in the colour and dash of a class
  page.sample = (style, width = 34) => {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    const line = document.createElementNS(ns, "line");
    svg.setAttribute("viewBox", `0 0 ${width} 10`);
    svg.setAttribute("aria-hidden", "true");
    const values = { x1: 0, x2: width, y1: 5, y2: 5, stroke: style.colour, "stroke-width": style.blocking ? 4.5 : 2.4, "stroke-dasharray": style.dash.join(" ") };
    for (const [key, value] of Object.entries(values)) line.setAttribute(key, value);
    svg.append(line);
    return svg;
  };
  // [u v w] with bars over negative indices
  page.indices = (uvw) => {
    const made = page.element("span", {}, "[");
    for (const index of uvw) made.append(index < 0 ? page.element("span", { class: "overline" }, String(-index)) : String(index));
    made.append("]");
    return made;
  };
  page.start = (models) => {
    page.models = models;
    for (const [name, column] of Object.entries(models.arrays.data)) page.arrays[name] = column[0];
    page.starters.forEach((start) => start());
    document.documentElement.dataset.ready = "true";
  };
  return page;
})();
