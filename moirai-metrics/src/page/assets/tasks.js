// The list of tasks. Its filter and its order are in the address of the page.

import { count, duration, element, moment, reconcile, setText, taskLink } from "./text.js";

const REFRESH = 2000;
const PAUSE_OF_TYPING = 150;
const LIMIT = 200;
const DEFAULT_SORT = "-spawned";

// The name by which the server sorts, the title, what is shown, and whether a narrow screen does without.
const columns = [
  ["name", "name", task => task.name ?? `task ${task.id}`, "name"],
  ["status", "status", task => (task.cause ? `${task.status} (${task.cause})` : task.status), "status"],
  ["kind", "kind", task => task.kind, "optional"],
  ["polls", "polls", task => count(task.polls), "number optional"],
  ["busy", "busy", task => duration(task.busy), "number"],
  ["waited", "waited", task => duration(task.waited), "number optional"],
  ["spawned", "spawned", task => moment(task.spawned).replace(" after the start", ""), "number optional"],
  ["worker", "worker", task => task.worker ?? "–", "number optional"],
  ["location", "spawned at", task => task.location, "wide place optional"],
];

const byId = id => document.getElementById(id);
let asked = 0;
let typing;

export const state = () => {
  const query = new URLSearchParams(location.search);
  return { filter: query.get("filter") ?? "", sort: query.get("sort") ?? DEFAULT_SORT, task: query.get("task"), dead: query.get("dead") };
};

// Changes the address. What is as it is by default is left out.
export function setState(change, isNew = false) {
  const { filter, sort, task, dead } = { ...state(), ...change };
  const query = new URLSearchParams();
  if (filter) query.set("filter", filter);
  if (sort !== DEFAULT_SORT) query.set("sort", sort);
  if (task) query.set("task", task);
  // A queue may have no name.
  if (dead !== null) query.set("dead", dead);
  const address = query.size ? `?${query}` : location.pathname;
  history[isNew ? "pushState" : "replaceState"](null, "", address);
}

export function start() {
  for (const [name, title, , className] of columns) {
    const head = element("th", null, className);
    head.scope = "col";
    head.dataset.sort = name;
    const button = element("button", title);
    button.type = "button";
    button.addEventListener("click", () => sortBy(name));
    head.append(button);
    byId("columns").append(head);
  }
  byId("search").addEventListener("submit", event => event.preventDefault());
  byId("filter").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      setState({ filter: byId("filter").value.trim() });
      refresh();
    }, PAUSE_OF_TYPING);
  });
  show();
  setInterval(() => {
    if (!document.hidden) refresh();
  }, REFRESH);
}

// Shows what the address says.
export function show() {
  const { filter } = state();
  if (byId("filter").value.trim() !== filter) byId("filter").value = filter;
  refresh();
}

function sortBy(name) {
  const { sort } = state();
  // The greatest first, which is what one looks for; then the other way round.
  setState({ sort: sort === `-${name}` ? name : `-${name}` });
  refresh();
}

export async function refresh() {
  const { filter, sort } = state();
  for (const head of byId("columns").children) {
    const order = { [head.dataset.sort]: "ascending", [`-${head.dataset.sort}`]: "descending" }[sort];
    if (order) head.setAttribute("aria-sort", order);
    else head.removeAttribute("aria-sort");
  }
  asked += 1;
  const number = asked;
  let list;
  try {
    const answer = await fetch(`tasks?${new URLSearchParams({ filter, sort, limit: LIMIT })}`);
    list = await answer.json();
  } catch {
    // The line at the top says that the connection is lost.
    return;
  }
  // Answers may overtake each other.
  if (number === asked) draw(list);
}

function draw(list) {
  const shown = list.tasks.length;
  const part = shown < list.matching ? `, the first ${count(shown)} shown` : "";
  setText(byId("found"), `${count(list.matching)} of ${count(list.all)} tasks${part}`);
  reconcile(
    byId("tasks"),
    list.tasks,
    task => task.id,
    task => {
      const row = element("tr");
      for (const [name, , , className] of columns) {
        const cell = element("td", null, className);
        if (name === "name") cell.append(taskLink(task.id, ""));
        row.append(cell);
      }
      return row;
    },
    (row, task) => {
      row.className = task.status;
      columns.forEach(([name, , text], index) => {
        const cell = row.children[index];
        setText(name === "name" ? cell.firstChild : cell, String(text(task)));
      });
    },
  );
}
