"use strict";
const study = JSON.parse(document.getElementById("study").textContent);
const element = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("[data-vote]")];
let rater = "";
let votes = []; // in the order of voting: pair, vote, seconds, at
let shownAt = 0; // when both images of the current pair were there; 0 before
let warning = "";

// What a rater has done is kept under the study's and the rater's name.
const slot = () => `infinity-preference:${study.study}:${rater}`;

function keep() {
  try {
    localStorage.setItem(slot(), JSON.stringify(votes));
    warning = "";
  } catch {
    warning = "This browser keeps nothing: save your votes before you close the page.";
  }
}

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(slot()));
    votes = Array.isArray(kept) ? kept : [];
  } catch {
    votes = [];
  }
}

function currentPair() {
  const done = new Set(votes.map((one) => one.pair));
  return study.pairs.find((pair) => !done.has(pair.id));
}

function address(pair, side) {
  return `images/${pair.id}-${side}.png`;
}

async function show() {
  const pair = currentPair();
  element("count").textContent = `${votes.length} of ${study.pairs.length}`;
  element("progress").max = study.pairs.length;
  element("progress").value = votes.length;
  element("undo").disabled = votes.length === 0;
  element("skip").disabled = !pair;
  element("vote").hidden = !pair;
  element("done").hidden = Boolean(pair);
  element("save").classList.toggle("primary", !pair);
  shownAt = 0;
  if (!pair) {
    element("thanks").focus();
    return;
  }
  element("trouble").textContent = warning;
  element("prompt").textContent = pair.prompt;
  element("prompt").classList.toggle("long", pair.prompt.length > 160); // the images stay in view
  element("prompt").scrollTop = 0;
  buttons.forEach((button) => (button.disabled = true)); // no vote on what is not seen
  const images = ["left", "right"].map((side) => {
    element(side).src = address(pair, side);
    return element(side).decode();
  });
  try {
    await Promise.all(images);
  } catch {
    if (pair === currentPair()) {
      element("trouble").textContent = "An image of this pair can't be shown; skip it.";
    }
    return;
  }
  if (pair !== currentPair()) return;
  buttons.forEach((button) => (button.disabled = false));
  shownAt = performance.now();
  element("prompt").focus({ preventScroll: true });
  preload(study.pairs[study.pairs.indexOf(pair) + 1]);
}

function preload(pair) {
  if (!pair) return;
  ["left", "right"].forEach((side) => (new Image().src = address(pair, side)));
}

function cast(vote) {
  const pair = currentPair();
  if (!pair || (!shownAt && vote !== "skip")) return;
  const seconds = shownAt ? Math.round((performance.now() - shownAt) / 100) / 10 : 0;
  votes.push({ pair: pair.id, vote, seconds, at: new Date().toISOString() });
  keep();
  show();
}

function undo() {
  if (!votes.length) return;
  votes.pop();
  keep();
  show();
}

function save() {
  const content = { schema_version: 1, study: study.study, rater, votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = `votes-${study.study}-${rater.replace(/[^\p{L}\p{N}_-]+/gu, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const keys = { arrowleft: "left", 1: "left", arrowright: "right", 2: "right", t: "tie", 0: "tie", s: "skip" };

document.addEventListener("keydown", (event) => {
  if (!rater || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "u" || key === "backspace") undo();
  else if (key in keys) cast(keys[key]);
  else return;
  event.preventDefault();
});

element("start").addEventListener("submit", (event) => {
  event.preventDefault();
  rater = element("rater").value.trim();
  if (!rater) return;
  element("start").hidden = true;
  element("tools").hidden = false;
  restore();
  show();
});
buttons.forEach((button) => button.addEventListener("click", () => cast(button.dataset.vote)));
element("skip").addEventListener("click", () => cast("skip"));
element("undo").addEventListener("click", undo);
element("save").addEventListener("click", save);
element("count").textContent = `${study.pairs.length} pairs`;
