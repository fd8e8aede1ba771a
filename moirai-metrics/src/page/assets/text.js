// Texts and elements. What users have named goes into the page as text alone, never as HTML.

const numbers = new Intl.NumberFormat("en");

export const count = value => numbers.format(value);

// A duration in nanoseconds.
export function duration(nanos) {
  if (nanos == null) return "–";
  const units = [[1e3, 1, "ns"], [1e6, 1e3, "µs"], [1e9, 1e6, "ms"], [60e9, 1e9, "s"], [3600e9, 60e9, "min"]];
  const [, unit, name] = units.find(([below]) => nanos < below) ?? [0, 3600e9, "h"];
  const value = nanos / unit;
  return `${value >= 100 || unit === 1 ? Math.round(value) : Number(value.toPrecision(3))} ${name}`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

// A moment, in seconds since the executor's start.
export const moment = seconds => (seconds == null ? "–" : `${seconds.toFixed(3)} s after the start`);

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text != null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes the children of `parent` those of `items`, in order. Elements of items that were there before stay, and with them the focus.
export function reconcile(parent, items, key, create, update) {
  const before = new Map([...parent.children].map(child => [child.dataset.key, child]));
  const keys = new Set(items.map(item => String(key(item))));
  for (const [name, child] of before) {
    if (!keys.has(name)) child.remove();
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = before.get(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

// Sets the pairs of a description list.
export function pairs(list, entries) {
  reconcile(
    list,
    // Two tags may have the same key.
    entries.flatMap(([name, value], index) => [
      { key: `${index} dt ${name}`, tag: "dt", text: name },
      { key: `${index} dd ${name}`, tag: "dd", text: value },
    ]),
    item => item.key,
    item => element(item.tag),
    (child, item) => {
      if (item.text instanceof Node) {
        if (!item.text.isEqualNode(child.firstChild)) child.replaceChildren(item.text);
      } else {
        setText(child, item.text);
      }
    },
  );
}

// A link to the story of a task, which works without a script that intercepts it, too.
export function taskLink(id, text) {
  const link = element("a", text);
  const query = new URLSearchParams(location.search);
  query.set("task", id);
  query.delete("dead");
  link.href = `?${query}`;
  link.dataset.task = id;
  return link;
}
