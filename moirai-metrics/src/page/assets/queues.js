// The queues of durable jobs.

import * as dead from "./dead.js";
import { count, duration, element, reconcile, setText } from "./text.js";

// The title, what is shown, and whether a narrow screen does without. That of the dead ones is a button.
const columns = [
  ["queue", of => of.name, "name"],
  ["waiting", of => count(of.waiting), "number"],
  ["scheduled", of => count(of.scheduled), "number optional"],
  ["running", of => count(of.running), "number"],
  ["retrying", of => count(of.retrying), "number"],
  ["dead", of => count(of.dead), "number dead"],
  ["done", of => count(of.done), "number optional"],
  ["cancelled", of => count(of.cancelled), "number optional"],
  ["oldest waiting", of => duration(of.oldest), "number"],
];

const byId = id => document.getElementById(id);

export function start() {
  for (const [title, , className] of columns) {
    const head = element("th", title, className);
    head.scope = "col";
    byId("queue-columns").append(head);
  }
  dead.start();
}

// Draws the queues of an event, which are null if they could not be read.
export function draw(queues) {
  byId("queues").hidden = queues?.length === 0;
  byId("queues-lost").hidden = queues !== null;
  byId("queues-there").hidden = queues === null;
  if (queues) reconcile(byId("queue-rows"), queues, of => of.name, row, fill);
}

function row(of) {
  const made = element("tr");
  for (const [title, , className] of columns) {
    const cell = element("td", null, className);
    if (title === "dead") {
      const button = element("button");
      button.type = "button";
      button.setAttribute("aria-haspopup", "dialog");
      button.addEventListener("click", () => dead.open(of.name));
      cell.append(button);
    }
    made.append(cell);
  }
  return made;
}

function fill(row, of) {
  columns.forEach(([title, text], index) => {
    const cell = row.children[index];
    setText(title === "dead" ? cell.firstChild : cell, text(of));
    if (title !== "dead") return;
    cell.classList.toggle("bad", of.dead > 0);
    const label = `${count(of.dead)} dead ${of.dead === 1 ? "job" : "jobs"} of ${of.name}`;
    if (cell.firstChild.ariaLabel !== label) cell.firstChild.ariaLabel = label;
  });
}
