// The dead jobs of one queue: those that were given up. The queue is in the address of the page.

import { asThePage, may } from "./permits.js";
import { setState, state } from "./tasks.js";
import { count, duration, element, reconcile, setText } from "./text.js";

const REFRESH = 2000;
const LIMIT = 100;

const byId = id => document.getElementById(id);
// By the ids of jobs that were asked to be retried: when they had died. A job that dies again can be retried again.
const retried = new Map();
let asked = 0;
let timer;

export function start() {
  byId("dead").addEventListener("close", () => {
    clearTimeout(timer);
    if (state().dead !== null) setState({ dead: null });
  });
  show();
}

export function open(queue) {
  setState({ dead: queue }, true);
  show();
}

// Shows the dead jobs of the queue that the address names, if it names one.
export function show() {
  clearTimeout(timer);
  const queue = state().dead;
  const dialog = byId("dead");
  if (queue === null) {
    if (dialog.open) dialog.close();
    return;
  }
  retried.clear();
  setText(byId("dead-title"), `Dead jobs of ${queue}`);
  setText(byId("dead-message"), "");
  setText(byId("dead-found"), "");
  byId("dead-jobs").replaceChildren();
  if (!dialog.open) dialog.showModal();
  load(queue);
}

async function load(queue) {
  clearTimeout(timer);
  asked += 1;
  const number = asked;
  let jobs;
  let why;
  try {
    const answer = await fetch(`queues/dead?${new URLSearchParams({ queue, limit: LIMIT })}`);
    if (answer.ok) ({ jobs } = await answer.json());
    else why = answer.status === 404 ? "There are no queues here." : "The jobs could not be read.";
  } catch {
    why = "The executor cannot be reached.";
  }
  // Answers may overtake each other.
  if (number !== asked || state().dead !== queue || !byId("dead").open) return;
  if (jobs) why = jobs.length === 0 ? "No job of this queue is dead." : jobs.length < LIMIT ? "" : `The ${count(LIMIT)} that have died last.`;
  setText(byId("dead-found"), why);
  if (jobs) keepFocus(() => reconcile(byId("dead-jobs"), jobs, job => job.id, job => line(queue, job.id), fill));
  timer = setTimeout(() => load(queue), REFRESH);
}

function line(queue, id) {
  const item = element("li");
  item.append(element("b", id), " ", element("span", "", "place"), element("div", "", "message"));
  if (may("retry")) {
    const button = element("button", "Retry");
    button.type = "button";
    button.ariaLabel = `Retry job ${id}`;
    button.addEventListener("click", () => retry(queue, item));
    item.append(button);
  }
  return item;
}

function fill(item, job) {
  const [, more, error, button] = item.children;
  item.dataset.died = job.died;
  const isRetried = retried.get(job.id) === item.dataset.died;
  const when = job.age == null ? "" : `died ${duration(job.age)} ago, `;
  const attempts = `${count(job.attempts)} ${job.attempts === 1 ? "attempt" : "attempts"}`;
  setText(more, `${when}${attempts}${isRetried ? ", to be retried" : ""}`);
  setText(error, job.error);
  if (button) button.hidden = isRetried;
}

async function retry(queue, item) {
  const id = item.dataset.key;
  let said;
  try {
    const answer = await fetch(`queues/retry?${new URLSearchParams({ queue, id })}`, asThePage());
    if (answer.ok) retried.set(id, item.dataset.died);
    said = answer.ok ? `Job ${id} will be retried.` : answer.status === 409 ? `Job ${id} cannot be retried now.` : "The server refuses to retry it.";
  } catch {
    said = "The executor cannot be reached.";
  }
  if (state().dead !== queue) return;
  setText(byId("dead-message"), said);
  load(queue);
}

// Makes a change, and moves the focus to what comes next if the change takes away the button that has it.
function keepFocus(change) {
  const buttons = () => [...byId("dead-jobs").querySelectorAll("button:not([hidden])")];
  const at = buttons().indexOf(document.activeElement);
  change();
  const left = buttons();
  if (at < 0 || left.includes(document.activeElement)) return;
  (left[Math.min(at, left.length - 1)] ?? byId("dead").querySelector(".close")).focus();
}
