// Everything that is shown is text of strangers, so nodes are made here and never from markup.

/** Text of strangers. What turns the direction of the text around it, or controls anything, is shown by its number. */
export const plain = (text) => String(text).replace(/[\p{Bidi_Control}\p{Cc}]/gu, (c) => (/[\t\n]/.test(c) ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** An element. `props`: attributes, `class`, and `on…` listeners; null leaves one out. Children: nodes or text. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : plain(child))));
  return node;
}

/** Changes the text of a node, if it is another one: what is selected or read aloud stays. */
export function say(node, text) {
  const string = plain(text);
  if (node.textContent !== string) node.textContent = string;
}

/**
 * Makes the children of `parent` those of `items`, in their order. `make(item)` returns { node, update(item) }, which
 * is kept as long as the item's key is there, so that the focus and the pointer stay where they are.
 */
export function keyed(parent, items, keyOf, make) {
  const before = parent.keyed ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const part = before.get(key) ?? make(item);
    part.update(item);
    now.set(key, part);
  }
  for (const [key, part] of before) if (!now.has(key)) part.node.remove();
  let at = parent.firstChild;
  for (const part of now.values()) {
    if (part.node === at) at = at.nextSibling;
    else parent.insertBefore(part.node, at);
  }
  parent.keyed = now;
}

/** A table with a caption for screen readers. Columns: [heading, class]. */
export function table(caption, columns) {
  const body = el('tbody');
  const head = el('tr', {}, ...columns.map(([text, kind]) =>
    el('th', { scope: 'col', class: kind }, text || el('span', { class: 'sr' }, 'Actions'))));
  return { body, node: el('table', {}, el('caption', { class: 'sr' }, caption), el('thead', {}, head), body) };
}

/** A row whose cells are set by functions: [class, (cell, item) => …]. */
export function row(cells, header = 0) {
  const nodes = cells.map(([kind], n) => el(n === header ? 'th' : 'td', { class: kind, scope: n === header ? 'row' : null }));
  return { node: el('tr', {}, ...nodes), update: (item) => cells.forEach(([, set], n) => set(nodes[n], item)) };
}

export const card = (title, ...children) =>
  el('section', { class: 'card' }, el('h2', {}, title), ...children);
