// The charts: the last two minutes of what the events have said.

import { bytes, count, duration, element } from "./text.js";

const LENGTH = 240;
const HEIGHT = 180;

const time = name => ({ label: name, value: (_, nanos) => duration(nanos), spanGaps: true });
const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
const colors = ["--one", "--two", "--three", "--four"];

// Each chart has a title, its series, and what an event adds to them. Times have a logarithmic scale.
const charts = [
  {
    title: "Tasks that ended, per second",
    series: ["completed", "failed", "cancelled"].map(label => ({ label, value: (_, rate) => (rate == null ? "–" : rate.toFixed(1)) })),
    values: (now, before) => {
      const seconds = now.t - before.t;
      return ["completed", "failed", "cancelled"].map(name => (now[name] - before[name]) / seconds);
    },
  },
  { title: "Time until the first run", log: true, series: ["median", "90 %", "99 %"].map(time), values: now => quantiles(now.queue) },
  { title: "Time running", log: true, series: ["median", "90 %", "99 %"].map(time), values: now => quantiles(now.run) },
  {
    title: "Tasks now",
    series: ["active", "ready to run", "waiting for a thread"].map(label => ({ label, value: (_, tasks) => (tasks == null ? "–" : count(tasks)) })),
    values: now => [activeTasks(now), now.queued, now.threads.blocking.queued],
  },
  {
    title: "Records",
    series: [
      { label: "retained", value: (_, records) => (records == null ? "–" : count(records)) },
      { label: "memory", scale: "bytes", value: (_, size) => (size == null ? "–" : bytes(size)) },
    ],
    values: now => [retained(now), now.bytes],
  },
];

const data = charts.map(chart => [[], ...chart.series.map(() => [])]);
let drawn = [];

export const activeTasks = now => Object.values(now.active).reduce((all, of) => all + of.queued + of.running, 0);
export const retained = now => now.retained.reduce((all, of) => all + of.records, 0);

function quantiles(times) {
  // Zero has no logarithm, and below this there is nothing to see.
  return times ? [times.p50, times.p90, times.p99].map(nanos => Math.max(nanos, 100)) : [null, null, null];
}

export function add(now, before) {
  charts.forEach((chart, index) => {
    const columns = data[index];
    [Date.now() / 1000, ...chart.values(now, before)].forEach((value, column) => {
      columns[column].push(value);
      if (columns[column].length > LENGTH) columns[column].shift();
    });
    drawn[index]?.setData(columns);
  });
}

// Draws all charts anew, in the colours of the present theme.
export function draw(parent) {
  drawn.forEach(chart => chart.destroy());
  parent.replaceChildren();
  drawn = charts.map((chart, index) => make(chart, index, parent));
}

function make(chart, index, parent) {
  const style = getComputedStyle(document.documentElement);
  const color = name => style.getPropertyValue(name).trim();
  const figure = element("figure");
  figure.append(element("figcaption", chart.title));
  const place = element("div");
  figure.append(place);
  parent.append(figure);
  const axis = (more = {}) => ({
    stroke: color("--quiet"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line"), width: 1 },
    ...more,
  });
  const labels = chart.log ? values => values.map(nanos => (nanos == null ? "" : duration(nanos))) : values => values.map(value => count(value));
  const left = axis({ size: 70, values: (_, values) => labels(values) });
  if (chart.log) left.grid.filter = (_, values) => values.map(value => (Number.isInteger(Math.log10(value)) ? value : null));
  const axes = [axis(), left];
  const scales = chart.log ? { y: { distr: 3 } } : { y: { range: (_, least, most) => [0, Math.max(most * 1.1, 1)] } };
  if (chart.series.some(series => series.scale === "bytes")) {
    axes.push(axis({ scale: "bytes", side: 1, size: 70, grid: { show: false }, values: (_, values) => values.map(bytes) }));
    scales.bytes = { range: (_, least, most) => [0, Math.max(most * 1.1, 1024)] };
  }
  const series = chart.series.map((of, number) => ({ ...of, stroke: color(colors[number]), dash: dashes[number], width: 1.5 }));
  const size = () => ({ width: Math.max(place.clientWidth, 120), height: HEIGHT });
  const plot = new uPlot({ ...size(), series: [{}, ...series], axes, scales, cursor: { drag: { x: false, y: false } } }, data[index], place);
  const canvas = place.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", chart.title);
  new ResizeObserver(() => {
    if (place.isConnected && place.clientWidth !== plot.width) plot.setSize(size());
  }).observe(place);
  return plot;
}
