// What all pages share: the tabs, the configuration beside each example, and notices.

const tabs = [
  ['index.html', 'Thumbnails'], ['runs.html', 'Runs'], ['leaderboard.html', 'Leaderboard'], ['assessment.html', 'Assessment'],
  ['submissions.html', 'Submissions'], ['judge.html', 'Judge'], ['images.html', 'Webhook'], ['legacy.html', 'Legacy'],
];

const nav = document.querySelector('nav');
for (const [href, textContent] of tabs) {
  const tab = Object.assign(document.createElement('a'), { href, textContent });
  if (href === nav.dataset.page) tab.setAttribute('aria-current', 'page');
  nav.append(tab);
}

/// The sections of conf/demo.conf with this name, as the page's nginx has them. A recipe by itself does not serve them.
async function configuration(box) {
  const answer = await fetch('/demo.conf').catch(() => null);
  if (!answer?.ok) return;
  const port = Number(location.port || (location.protocol === 'https:' ? 443 : 80));
  const text = (await answer.text()).replace(/\$\{PORT(?:\+(\d))?\}/g, (_, more) => port + Number(more ?? 0));
  const sections = [...text.matchAll(/^ {4}# --- (\w+)(?:: (.*))?\n((?: {4,}.*\n|\n(?! {4}# ---))+)/gm)];
  const own = sections.filter(([, name]) => name === box.dataset.section);
  if (own.length === 0) return;
  box.querySelector('pre').textContent = own.map(([, , title, lines]) => `# ${title}\n${lines.replace(/^ {4}/gm, '')}`).join('\n').trim();
  box.hidden = false;
}
const box = document.getElementById('configuration');
if (box) configuration(box);

/// Whether this nginx has the location: the pages are the same in every recipe. If not, says which configuration has it, or
/// where to sign in.
export async function available(location, configured, headers = {}, session = null) {
  const answer = await fetch(location, { method: 'OPTIONS', headers }).catch(() => null);
  if (answer?.status === 204) return true;
  const notice = document.getElementById('notice');
  notice.hidden = false;
  if (answer?.status === 401 && session) {
    notice.append(Object.assign(document.createElement('a'), { href: session, textContent: 'Sign in' }), ' to see your own.');
  } else if (answer?.status === 403) {
    notice.textContent = 'This example answers only requests from its own machine: open it as http://127.0.0.1.';
  } else {
    notice.textContent = answer
      ? `This example is not configured here. Start it with: make run CONF=${configured}`
      : 'The server cannot be reached. Reload the page to try again.';
  }
  return false;
}

/// Tells it to screen readers, one thing at a time.
export function announce(text) { document.getElementById('said').textContent = text; }

/// A copy of what a template has.
export function made(id) { return document.getElementById(id).content.firstElementChild.cloneNode(true); }
