"use strict";
// Samples: every text goes in through textContent, so nothing a document says is ever markup.
const samples = JSON.parse(document.getElementById("data").textContent);
const run = document.getElementById("run"), kind = document.getElementById("kind"), why = document.getElementById("why");
const words = document.getElementById("words"), list = document.getElementById("list");
const more = document.getElementById("more"), PAGE = 20;
let shown = PAGE;

function add(parent, tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  parent.append(element);
  return element;
}

function reason(sample) {
  return sample.why && (sample.kind === "rejected" ? sample.where + ": " + sample.why : sample.why);
}

function about(sample) {
  const score = sample.score === null ? "" : "score " + sample.score.toFixed(2);
  return [run.options.length > 2 && sample.run, sample.kind, reason(sample) || sample.where, sample.detail, score,
    sample.uri, sample.licence].filter(Boolean).join(" · ");
}

function chosen(sample) {
  return (!run.value || sample.run === run.value) && (!kind.value || sample.kind === kind.value);
}

function options(select, values) {
  select.replaceChildren();
  for (const value of ["", ...new Set(values)]) add(select, "option", value || "all").value = value;
  select.parentElement.hidden = select.options.length < 3;
}

function reasons() {
  const before = why.value;
  options(why, samples.filter(chosen).map(reason).filter(Boolean));
  why.value = before;
  if (why.selectedIndex < 0) why.value = "";
}

function show() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = samples.filter(sample => chosen(sample) && (!why.value || reason(sample) === why.value) &&
    wanted.every(word => (sample.instruction + " " + sample.text + " " + about(sample)).toLowerCase().includes(word)));
  list.replaceChildren();
  for (const sample of found.slice(0, shown)) {
    const article = add(list, "article", "");
    if (sample.instruction) add(article, "h4", sample.instruction);
    add(article, "p", sample.text, "text");
    if (sample.original) {
      add(article, "p", "before it was rewritten", "about");
      add(article, "p", sample.original, "text");
    }
    add(article, "p", about(sample), "about");
  }
  document.getElementById("count").textContent = Math.min(shown, found.length) + " of " + found.length;
  more.hidden = found.length <= shown;
}

options(run, samples.map(sample => sample.run));
options(kind, samples.map(sample => sample.kind));
reasons();
document.getElementById("filter").addEventListener("submit", event => event.preventDefault());
for (const input of [run, kind, why, words]) input.addEventListener("input", () => { shown = PAGE; reasons(); show(); });
more.addEventListener("click", () => { shown += PAGE; show(); });
show();
