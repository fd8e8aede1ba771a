// The page: it draws each event of the server.

import * as charts from "./charts.js";
import * as dead from "./dead.js";
import * as queues from "./queues.js";
import * as story from "./story.js";
import * as tasks from "./tasks.js";
import { bytes, count, duration, element, pairs, reconcile, setText, taskLink } from "./text.js";

const byId = id => document.getElementById(id);
let before;

function numbers(now) {
  const rows = [
    ["active", count(charts.activeTasks(now))],
    ["ready to run", count(now.queued)],
    ["completed", count(now.completed)],
    ["failed", count(now.failed), now.failed > 0],
    ["cancelled", count(now.cancelled)],
    ["refused", count(now.refused), now.refused > 0],
    ["stalled now", count(now.stalled.length), now.stalled.length > 0],
    ["stalls", count(now.stalls)],
    ["timers", count(now.timers)],
    ["records", count(charts.retained(now))],
    ["memory", bytes(now.bytes)],
  ];
  reconcile(
    byId("numbers"),
    rows,
    ([name]) => name,
    ([name]) => {
      const tile = element("div");
      tile.append(element("dt", name), element("dd"));
      return tile;
    },
    (tile, [, text, bad]) => {
      tile.className = bad ? "bad" : "";
      setText(tile.lastChild, text);
    },
  );
}

const names = { idle: "idle", parked: "parked", polling: "polling", fork_join: "fork-join", park_hook: "I/O hook", no_thread: "no thread" };

// A line of one of the lists: a state, a link to a task, and where that was spawned.
function line() {
  const item = element("li");
  item.append(element("span", "", "state"), " ", element("span"), " ", element("span"), element("div", "", "place"), element("div", "", "message"));
  return item;
}

function fill(item, state, task, text, place, message) {
  const [first, link, more, where, said] = item.children;
  setText(first, state);
  if (task) {
    if (link.firstChild?.dataset?.task !== task.id) link.replaceChildren(taskLink(task.id, ""));
    setText(link.firstChild, task.name ?? `task ${task.id}`);
  } else {
    link.replaceChildren();
  }
  setText(more, text);
  setText(where, place ?? "");
  setText(said, message ?? "");
}

function workers(now) {
  reconcile(byId("workers"), now.worker, of => of.worker, line, (item, of) => {
    const since = of.since == null ? "" : `for ${duration(of.since)}`;
    const task = of.task && { id: of.task, name: of.name };
    fill(item, `${of.worker}: ${names[of.state] ?? of.state}`, task, since, of.location);
  });
  const pools = Object.entries(now.threads).map(([name, of]) => {
    const queued = of.queued ? `, ${count(of.queued)} waiting` : "";
    return [name, `${count(of.threads)} of at most ${count(of.limit)}, ${count(of.idle)} idle${queued}`];
  });
  const hidden = now.workers - now.worker.length;
  if (hidden > 0) pools.unshift(["further workers", count(hidden)]);
  pairs(byId("threads"), pools);
}

function stalls(now) {
  byId("no-stalls").hidden = now.stalled.length > 0;
  reconcile(byId("stalls"), now.stalled, of => of.id, line, (item, of) => {
    const where = of.worker == null ? "on a compensation thread" : `on worker ${of.worker}`;
    const what = { true: ", computing", false: ", blocked" }[of.computes] ?? "";
    fill(item, of.kind, of, `has kept its thread for ${duration(of.age)} ${where}${what}`, of.location);
  });
  byId("no-failures").hidden = now.failures.length > 0;
  reconcile(byId("failures"), now.failures, of => of.id, line, (item, of) => {
    const ago = of.ended == null ? "" : `${duration((now.t - of.ended) * 1e9)} ago`;
    fill(item, "failed", of, ago, of.location, of.error);
  });
}

function draw(now) {
  byId("phase").className = "";
  setText(byId("phase"), `${now.phase.replace("_", " ")} for ${duration(now.t * 1e9)}, ${count(now.workers)} ${now.workers === 1 ? "worker" : "workers"}`);
  numbers(now);
  // After a restart the numbers begin anew.
  if (before && now.t > before.t) charts.add(now, before);
  before = now;
  workers(now);
  stalls(now);
  queues.draw(now.queues);
}

function listen() {
  const events = new EventSource("events");
  events.addEventListener("message", event => draw(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    byId("phase").className = "lost";
    setText(byId("phase"), "the connection is lost; trying again");
    // A browser does not try again after an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

charts.draw(byId("charts"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.draw(byId("charts")));
window.addEventListener("popstate", () => {
  tasks.show();
  story.show();
  dead.show();
});
tasks.start();
story.start();
queues.start();
listen();
