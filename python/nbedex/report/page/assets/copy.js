// The methods paragraph to the clipboard.
"use strict";
document.getElementById("copy").addEventListener("click", async (event) => {
  const button = event.target;
  const text = document.getElementById("methods-text");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch { // no clipboard for pages opened from a file in some browsers: select it instead
    const range = document.createRange();
    range.selectNodeContents(text);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
