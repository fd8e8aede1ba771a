// What the server lets this page do, and what tells the server that it is this page.

const meta = name => document.querySelector(`meta[name=${name}]`).content;

const names = meta("moirai-permits").split(" ");

export const may = name => names.includes(name);

export const asThePage = () => ({ method: "POST", headers: { "X-Moirai-Token": meta("moirai-token") } });
