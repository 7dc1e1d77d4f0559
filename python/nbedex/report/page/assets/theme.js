// Light and dark: the page's colours come from style sheets, those of canvases are set here.
"use strict";
(() => {
  const page = window.nbedexReport;
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const paint = () => {
    if (!page.models) return;
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const [ink, paper, muted, line] = ["ink", "paper", "muted", "line"].map(colour);
    const tagged = { ink, paper, muted };
    const document_ = page.models.arrays.document ?? page.models.xRange.document;
    for (const model of document_.all_models) {
      const set = (values) => { for (const [key, value] of Object.entries(values)) if (key in model.properties) model[key] = value; };
      if (model.type === "LinearAxis") set({ axis_label_text_color: muted, major_label_text_color: muted, axis_line_color: muted, major_tick_line_color: muted });
      if (model.type === "Grid") set({ grid_line_color: line });
      if (model.type === "Legend") set({ label_text_color: ink });
      const tag = (model.tags ?? []).find((name) => name in tagged);
      if (tag) set({ line_color: tagged[tag] });
      if (model.type === "GlyphRenderer") {
        const own = (model.tags ?? []).find((name) => name in tagged) ?? (model.glyph.tags ?? []).find((name) => name in tagged);
        if (own) for (const key of model.glyph.type === "Annulus" ? ["fill_color"] : ["line_color", "text_color"]) if (key in model.glyph.properties) model.glyph[key] = tagged[own];
      }
    }
  };
  const choose = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(theme === "dark"));
    paint();
  };
  page.setTheme = choose;
  button.addEventListener("click", () => choose(root.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", () => choose(dark.matches ? "dark" : "light"));
  choose(dark.matches ? "dark" : "light");
  page.starters.push(paint);
})();
