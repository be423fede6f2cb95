// The JSON of the console, and its actions.

import { plain } from './dom.js';

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail ?? body.title ?? `The server answers ${response.status}.`);
  return body;
}

export function read(path, args = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(args).filter(([, value]) => value));
  return fetch(`api/${path}${query.size ? `?${query}` : ''}`, { signal, headers: { Accept: 'application/json' } }).then(answer);
}

const WORDS = { retried: 'retried', cancelled: 'cancelled', paused: 'paused', resumed: 'resumed', replayed: 'had been retried before',
  already: 'changed before', ended: 'had ended', running: 'not ended yet', unknown: 'unknown', locked: 'busy, try again', batch: 'a batch' };

/** Asks, acts, and says what came of it. Resolves to whether it was done. */
export async function act(action, items, { title, text, button }) {
  const dialog = document.getElementById('confirm');
  const list = document.getElementById('confirm-items');
  document.getElementById('confirm-title').textContent = title;
  document.getElementById('confirm-text').textContent = text ?? '';
  list.replaceChildren(...items.slice(0, 5).map((item) => Object.assign(document.createElement('li'), { textContent: plain(item) })));
  if (items.length > 5) list.append(Object.assign(document.createElement('li'), { textContent: `and ${items.length - 5} more` }));
  document.getElementById('confirm-yes').textContent = button;
  dialog.returnValue = 'no';
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
  if (dialog.returnValue !== 'yes') return false;
  try {
    const body = JSON.stringify({ action, [action === 'retry' || action === 'cancel' ? 'jobs' : 'queues']: items });
    const done = await fetch('api/actions', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }).then(answer);
    const counts = new Map();
    for (const one of done.results) counts.set(one.outcome, (counts.get(one.outcome) ?? 0) + 1);
    announce([...counts].map(([word, n]) => `${n} ${WORDS[word] ?? word}`).join(', '));
    return true;
  } catch (error) {
    announce(error.message, true);
    return false;
  }
}

let timer;
export function announce(text, bad = false) {
  const said = document.getElementById('said');
  said.textContent = plain(text);
  said.className = bad ? 'said shown bad' : 'said shown';
  clearTimeout(timer);
  timer = setTimeout(() => { said.className = 'said'; }, 8000);
}
