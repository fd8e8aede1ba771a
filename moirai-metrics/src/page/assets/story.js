// The story of one task.

import { count, duration, element, moment, pairs, setText, taskLink } from "./text.js";
import { refresh as refreshTasks, setState, state } from "./tasks.js";

const REFRESH = 1000;
const byId = id => document.getElementById(id);
const token = document.querySelector("meta[name=moirai-token]").content;
let timer;

export function start() {
  document.addEventListener("click", event => {
    const link = event.target.closest("a[data-task]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    setState({ task: link.dataset.task }, true);
    show();
  });
  byId("story").addEventListener("close", () => {
    clearTimeout(timer);
    if (state().task) setState({ task: null });
  });
  byId("cancel").addEventListener("click", cancel);
  show();
}

// Shows the task that the address names, if it names one.
export function show() {
  clearTimeout(timer);
  const { task } = state();
  const dialog = byId("story");
  if (!task) {
    if (dialog.open) dialog.close();
    return;
  }
  setText(byId("story-title"), `Task ${task}`);
  setText(byId("story-message"), "");
  byId("fields").replaceChildren();
  byId("timeline").replaceChildren();
  byId("cancel").hidden = true;
  if (!dialog.open) dialog.showModal();
  load(task);
}

async function load(id) {
  let answer;
  try {
    answer = await (await fetch(`task/${encodeURIComponent(id)}`)).json();
  } catch {
    answer = { error: "lost" };
  }
  if (state().task !== id || !byId("story").open) return;
  if (answer.error) {
    const reasons = {
      evicted: "The task has ended, and its record is not retained any more.",
      unknown: "There is no such task.",
      lost: "The executor cannot be reached.",
    };
    setText(byId("story-message"), reasons[answer.error]);
    byId("cancel").hidden = true;
    return;
  }
  draw(answer);
  if (!answer.task.ended) timer = setTimeout(() => load(id), REFRESH);
}

function draw({ task, polls }) {
  setText(byId("story-title"), task.name ?? `Task ${task.id}`);
  byId("cancel").hidden = !token || task.ended != null;
  const fields = [
    ["id", task.id],
    ["status", task.cause ? `${task.status}, by ${task.cause}` : task.status],
    ["kind", task.kind],
    ["priority", task.priority],
    ["spawned at", task.location],
    ["spawned", moment(task.spawned)],
    ["first run", moment(task.started)],
    ["ended", moment(task.ended)],
    ["waited", duration(task.waited)],
    ["from first run to end", duration(task.ran)],
    ["busy", duration(task.busy)],
    ["polls", count(task.polls)],
    ["worker", task.worker == null ? "–" : String(task.worker)],
  ];
  if (task.parent) fields.push(["parent", taskLink(task.parent, task.parent)]);
  for (const [key, value] of task.tags) fields.push([`tag ${key}`, value]);
  if (task.done != null) fields.push(["progress", task.total ? `${count(task.done)} of ${count(task.total)}` : count(task.done)]);
  if (task.note) fields.push(["note", task.note]);
  if (task.error) fields.push(["error", element("span", task.error, "message")]);
  pairs(byId("fields"), fields);
  timeline(task, polls ?? []);
}

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

// Draws when the task waited and when it ran, and each of its polls that is known.
function timeline(task, polls) {
  const width = 700;
  const end = task.ended ?? task.observed;
  const span = Math.max(end - task.spawned, 1e-9);
  const at = seconds => (Math.min(Math.max(seconds - task.spawned, 0), span) / span) * width;
  const begun = task.started ?? end;
  const label = `waited ${duration((begun - task.spawned) * 1e9)}` + (task.started == null ? "" : `, then ran for ${duration((end - begun) * 1e9)}`);
  const picture = shape("svg", { viewBox: `0 0 ${width} 64`, preserveAspectRatio: "none", role: "img", "aria-label": `The task ${label}` });
  picture.append(shape("rect", { class: "waited", x: 0, y: 8, width: Math.max(at(begun), 0.5), height: 30 }));
  if (task.started != null) {
    picture.append(shape("rect", { class: "ran", x: at(begun), y: 8, width: Math.max(at(end) - at(begun), 0.5), height: 30 }));
  }
  for (const [from, to] of polls) {
    picture.append(shape("rect", { class: "poll", x: at(from), y: 12, width: Math.max(at(to) - at(from), 0.8), height: 22 }));
  }
  byId("timeline").replaceChildren(picture, element("p", label[0].toUpperCase() + label.slice(1), "place"));
}

async function cancel() {
  const id = state().task;
  try {
    const answer = await fetch(`task/${encodeURIComponent(id)}/cancel`, { method: "POST", headers: { "X-Moirai-Token": token } });
    const said = answer.ok ? "It was asked to stop." : answer.status === 404 ? "It has ended already." : "The server refuses to cancel it.";
    setText(byId("story-message"), said);
  } catch {
    setText(byId("story-message"), "The executor cannot be reached.");
  }
  clearTimeout(timer);
  await load(id);
  refreshTasks();
}
