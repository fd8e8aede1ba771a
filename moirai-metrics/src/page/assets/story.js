// The story of one task.

import { asThePage, may } from "./permits.js";
import { count, duration, element, moment, pairs, reconcile, setText, taskLink } from "./text.js";
import { refresh as refreshTasks, setState, state } from "./tasks.js";

const REFRESH = 1000;
const LISTED = 50;
const byId = id => document.getElementById(id);
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
  byId("lately").hidden = true;
  byId("cancel").hidden = true;
  if (!dialog.open) dialog.showModal();
  load(task);
}

async function load(id) {
  let answer;
  try {
    answer = await (await fetch(`task/${encodeURIComponent(id)}?events`)).json();
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

function draw({ task, events }) {
  setText(byId("story-title"), task.name ?? `Task ${task.id}`);
  byId("cancel").hidden = !may("cancel") || task.ended != null;
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
  timeline(task, events);
  lately(task, events);
}

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

// The polls among the events: each has a length, and the others are moments.
const polls = events => events.filter(event => ["poll", "polling", "completed", "failed"].includes(event.what));

// Draws when the task waited and when it ran, and each of its polls that the flight recorder still has.
function timeline(task, events) {
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
  for (const poll of polls(events)) {
    const className = poll.what === "failed" ? "poll bad" : "poll";
    const bar = shape("rect", { class: className, x: at(poll.from), y: 12, width: Math.max(at(poll.to) - at(poll.from), 0.8), height: 22 });
    bar.append(shape("title", {}, `${duration((poll.to - poll.from) * 1e9)} on ${poll.thread}`));
    picture.append(bar);
  }
  byId("timeline").replaceChildren(picture, element("p", label[0].toUpperCase() + label.slice(1), "place"));
}

const sayings = {
  poll: "polled, and waits",
  polling: "is being polled",
  completed: "polled, and completed",
  failed: "polled, and failed",
  cancelled: "ended, because it was cancelled",
  spawned: "spawned",
  woken: "woken",
  timer: "went on at its deadline",
  job: "had a part of its fork-join work done",
  stall: "was found to exceed its budget",
  "stall-over": "no longer exceeds its budget",
};

// Lists the latest events, the last one first.
function lately(task, events) {
  byId("lately").hidden = events.length === 0;
  const shown = events.slice(-LISTED).reverse();
  reconcile(
    byId("events"),
    shown.map((event, index) => ({ ...event, key: `${event.what} ${event.from} ${event.thread} ${event.by} ${shown.slice(0, index).filter(other => other.from === event.from && other.what === event.what).length}` })),
    event => event.key,
    () => {
      const item = element("li");
      item.append(element("span", "", "state"), " ", element("span"), " ", element("span"), " ", element("span", "", "place"));
      return item;
    },
    (item, event) => {
      const [when, what, by, thread] = item.children;
      const length = polls([event]).length ? ` for ${duration((event.to - event.from) * 1e9)}` : "";
      const late = event.late == null ? "" : `, ${duration(event.late)} late`;
      setText(when, `+${duration((event.from - task.spawned) * 1e9)}`);
      setText(what, `${(sayings[event.what] ?? event.what).replace("polled", `polled${length}`)}${late}`);
      if (event.by && !by.firstChild) by.append("by ", taskLink(event.by, `task ${event.by}`));
      setText(thread, event.thread);
    },
  );
}

async function cancel() {
  const id = state().task;
  try {
    const answer = await fetch(`task/${encodeURIComponent(id)}/cancel`, asThePage());
    const said = answer.ok ? "It was asked to stop." : answer.status === 404 ? "It has ended already." : "The server refuses to cancel it.";
    setText(byId("story-message"), said);
  } catch {
    setText(byId("story-message"), "The executor cannot be reached.");
  }
  clearTimeout(timer);
  await load(id);
  refreshTasks();
}
