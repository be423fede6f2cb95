// What the pages of the gallery share: the navigation, and beside each example its curl lines, its configuration and its
// script. A page has only its example.

/// The tabs: what the page calls itself, the name, maybe its URL, and maybe the directive without which it is not there.
const TABS = [
  ['thumbnails', 'Photos', 'index.html'], ['submissions', 'Submissions'], ['runs', 'Runs'], ['leaderboard', 'Leaderboard'],
  ['images', 'Webhook'], ['assessment', 'Assessment'], ['judge', 'Judge'], ['legacy', 'Legacy'],
  ['console', 'Console', '/console/', 'await_console'],
];

export const $ = (selector, root = document) => root.querySelector(selector);
export const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
/// A copy of what a template has.
export const made = (id) => $(`#${id}`).content.firstElementChild.cloneNode(true);
export const row = (tag, cells) => element('tr', {}, ...cells.map((textContent) => element(tag, { textContent })));
export const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/// Tells it to screen readers, one thing at a time.
export const announce = (text) => { said.textContent = text; };
/// Shows what is wrong; nothing: it is no more.
export const tell = (...what) => {
  notice.replaceChildren(...what);
  notice.hidden = what.length === 0;
};

/// Marks how far something is: the states before this one are past.
export function mark(article, state) {
  const steps = [...article.querySelectorAll('.states li')];
  const now = steps.findIndex((step) => step.dataset.state === state);
  article.dataset.state = state;
  if (now >= 0) steps.forEach((step, at) => { step.className = at < now ? 'past' : at === now ? 'now' : ''; });
}

const channels = [];
/// A job, batch or topic of nginx-await: the badge shows whether its socket is open, and how often the client has polled.
export function watched(channel) {
  if (channels.push(channel) === 1) setInterval(showChannels, 200);
  return channel;
}

function showChannels() {
  const badge = $('#connection');
  const open = channels.filter(({ ended }) => !ended);
  const state = open.length === 0 ? 'idle' : open.some(({ connected }) => connected) ? 'live' : 'connecting';
  const polls = channels.reduce((sum, channel) => sum + channel.polls, 0);
  const text = `${state} · ${polls} ${polls === 1 ? 'poll' : 'polls'}`;
  if (badge.textContent === text) return;
  badge.textContent = text;
  badge.classList.toggle('live', state === 'live');
}

function enable(works) { for (const each of document.querySelectorAll('.stack :is(button, input)')) each.disabled = !works; }

/// Whether this nginx has the location: the pages are the same in every recipe. If not, says which configuration has it, or
/// where to sign in.
export async function available(location, configured, headers = {}, session = null) {
  const answer = await fetch(location, { method: 'OPTIONS', headers }).catch(() => null);
  const works = answer?.status === 204;
  enable(works);
  if (works) return true;
  if (answer?.status === 401 && session) tell(element('a', { href: session, textContent: 'Sign in' }), ' to see your own.');
  else if (answer?.status === 403) tell('This example answers only requests from its own machine: open it as http://127.0.0.1.');
  else if (answer) tell(`This example is not configured here. Start it with: make run CONF=${configured}`);
  else tell('The server cannot be reached. Reload the page to try again.');
  return false;
}

// --- the frame

const main = $('main');
const { example } = main.dataset;
const notice = element('p', { className: 'notice', id: 'notice', hidden: true });
const said = element('p', { className: 'unseen', id: 'said', role: 'status' });
const aside = element('aside', { ariaLabel: 'How it is made' });
const nav = element('nav', { ariaLabel: 'Examples' });

function tab([name, textContent, href = `${name}.html`]) {
  const link = element('a', { href, textContent });
  if (name === example) link.ariaCurrent = 'page';
  nav.append(link);
}
TABS.filter(([, , , directive]) => !directive).forEach(tab);
main.before(element('header', {}, element('a', { className: 'brand', href: 'index.html', textContent: 'nginx-await' }), nav));
$('.stack').prepend(notice);
$('.stack').append(said);
main.append(aside);
enable(false);
$('[aria-current]', nav)?.scrollIntoView({ block: 'nearest', inline: 'center' });

// What is drawn in another colour: comments, strings, and the words that matter.
const WORDS = { sh: 'curl', nginx: 'await\\w*', js: 'import|from|export|const|let|for|await|async|function|of|return|if|else|try|catch|new|throw' };

function paint(text, language) {
  const comment = language === 'js' ? '\\/\\/.*' : '#(?= ).*';
  const tokens = new RegExp(`(?<comment>(?<=^|\\s)${comment})|(?<string>'[^'\\n]*'|"[^"\\n]*")|(?<word>\\b(?:${WORDS[language]})\\b)`, 'gm');
  const parts = [];
  let at = 0;
  for (const { 0: token, index, groups } of text.matchAll(tokens)) {
    const [kind] = Object.entries(groups).find(([, found]) => found);
    parts.push(text.slice(at, index), element('span', { className: kind, textContent: token }));
    at = index + token.length;
  }
  return [...parts, text.slice(at)];
}

/// A box with a text to read and to copy.
function show(id, title, language, text) {
  const pre = element('pre', { tabIndex: 0, role: 'region', ariaLabel: title }, ...paint(text, language));
  const copy = element('button', { type: 'button', className: 'quiet', textContent: 'Copy', ariaLabel: `Copy: ${title}` });
  copy.addEventListener('click', async () => {
    // only secure pages may write to the clipboard; elsewhere the text is selected
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(pre);
      copy.textContent = 'Selected';
    }
    setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
  });
  aside.append(element('section', { id, className: 'code' }, element('div', { className: 'bar' }, element('h2', { textContent: title }), copy), pre));
}

function curl() {
  const lines = $('#lines');
  if (!lines) return;
  const port = Number(location.port || 80);
  let text = lines.content.textContent.trim().replaceAll('{url}', location.origin).replaceAll('{services}', `http://${location.hostname}:${port + 1}`);
  if (location.protocol === 'https:') text = text.replace(/\bcurl /g, 'curl -k ');       // the demo's certificate is self-signed
  show('curl', 'curl', 'sh', text);
}

/// The sections of conf/demo.conf with this name, as the page's nginx has them. A recipe by itself does not serve them.
async function configuration() {
  const answer = await fetch('/demo.conf').catch(() => null);
  if (!answer?.ok) return;
  const port = Number(location.port || (location.protocol === 'https:' ? 443 : 80));
  const text = (await answer.text()).replace(/\$\{PORT(?:\+(\d))?\}/g, (_, more) => port + Number(more ?? 0));
  const sections = [...text.matchAll(/^ {4}# --- (\w+)(?:: (.*))?\n((?: {4,}.*\n|\n(?! {4}# ---))+)/gm)].filter(([, name]) => name === example);
  const lines = sections.map(([, , title, block]) => `# ${title}\n${block.replace(/^ {4}/gm, '')}`).join('\n').trim();
  if (lines) show('configuration', 'nginx.conf', 'nginx', lines);
  TABS.filter(([, , , directive]) => directive && new RegExp(`^[^#\\n]*\\b${directive}\\b`, 'm').test(text)).forEach(tab);
}

async function script() {
  const answer = await fetch(`${example}.js`).catch(() => null);
  if (answer?.ok) show('script', `${example}.js`, 'js', (await answer.text()).trim());
}

curl();
configuration().then(script);
