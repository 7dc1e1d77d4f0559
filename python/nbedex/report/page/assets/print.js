// On paper: light, nothing folded, and every figure as a picture that fits its column.
"use strict";
(() => {
  const page = window.nbedexReport;
  const root = document.documentElement;
  let before = null;

  // Bokeh lays figures out for the window; on paper a picture of each takes their place. Its colours change only
  // after this event, so a picture is on the paper of the theme it was drawn in.
  const picture = (drawing, paper) => {
    const view = page.viewOf(drawing);
    if (!view) return null;
    const { canvas } = view.export("png");
    const sheet = page.element("canvas", { width: canvas.width, height: canvas.height });
    const context = sheet.getContext("2d");
    context.fillStyle = paper;
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.drawImage(canvas, 0, 0);
    const image = page.element("img", { class: "on-paper", alt: "" });
    image.src = sheet.toDataURL("image/png");
    return image;
  };
  window.addEventListener("beforeprint", () => {
    if (before || !page.models) return;
    before = { theme: root.dataset.theme, open: [...document.querySelectorAll("details")].map((d) => d.open) };
    const paper = getComputedStyle(document.body).backgroundColor;
    document.querySelectorAll(".drawing").forEach((drawing) => {
      const image = picture(drawing, paper);
      if (image) drawing.after(image);
    });
    page.setTheme("light");
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
  });
  window.addEventListener("afterprint", () => {
    if (!before) return;
    document.querySelectorAll(".on-paper").forEach((image) => image.remove());
    document.querySelectorAll("details").forEach((d, i) => { d.open = before.open[i]; });
    page.setTheme(before.theme);
    before = null;
  });
  // The button can wait until figures are drawn in light colours
  document.getElementById("print").addEventListener("click", () => {
    const theme = root.dataset.theme;
    if (theme === "light") return window.print();
    page.setTheme("light");
    setTimeout(() => {
      window.print();
      page.setTheme(theme);
    }, 1000);
  });
})();
