"use strict";
// Samples: every text goes in through textContent, so nothing a document says is ever markup.
const samples = JSON.parse(document.getElementById("data").textContent);
const kind = document.getElementById("kind"), words = document.getElementById("words"), list = document.getElementById("list");
const more = document.getElementById("more"), PAGE = 20;
let shown = PAGE;

function add(parent, tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  parent.append(element);
  return element;
}

function about(sample) {
  const score = sample.score === null ? "" : "score " + sample.score.toFixed(2);
  return [sample.run, sample.kind + " · " + sample.where, sample.why, score, sample.uri, sample.licence]
    .filter(Boolean).join(" · ");
}

function show() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = samples.filter(sample => (!kind.value || sample.kind === kind.value) &&
    wanted.every(word => (sample.instruction + " " + sample.text + " " + about(sample)).toLowerCase().includes(word)));
  list.replaceChildren();
  for (const sample of found.slice(0, shown)) {
    const article = add(list, "article", "");
    if (sample.instruction) add(article, "h4", sample.instruction);
    add(article, "p", sample.text, "text");
    add(article, "p", about(sample), "about");
  }
  document.getElementById("count").textContent = Math.min(shown, found.length) + " of " + found.length;
  more.hidden = found.length <= shown;
}

for (const name of ["", ...new Set(samples.map(sample => sample.kind))]) add(kind, "option", name || "all").value = name;
document.getElementById("filter").addEventListener("submit", event => event.preventDefault());
for (const input of [kind, words]) input.addEventListener("input", () => { shown = PAGE; show(); });
more.addEventListener("click", () => { shown += PAGE; show(); });
show();
