// A key presses what it names on the page; while an answer is on its way, and in fields of text, keys are left alone.
"use strict";
let busy = false;
const trouble = (shown) => { document.getElementById("trouble").hidden = !shown; };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey && event.key === "Enter") {
    document.querySelector("[data-save]")?.click();
    return;
  }
  const writing = event.target.closest?.("input, textarea, select");
  if (event.ctrlKey || event.altKey || event.metaKey || busy || event.repeat) return;
  if (document.getElementById("help").open || (writing && event.key !== "Escape")) return;
  const found = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (!found) return;
  event.preventDefault();
  found.click();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
});
document.addEventListener("htmx:before:request", () => { busy = true; });
document.addEventListener("htmx:finally:request", () => { busy = false; });
document.addEventListener("htmx:error", () => { busy = false; trouble(true); });
document.addEventListener("htmx:response:error", () => { busy = false; trouble(true); });
document.addEventListener("htmx:after:swap", () => {
  trouble(false);
  window.scrollTo(0, 0);
  document.querySelector("#screen [data-focus]")?.focus();
});
