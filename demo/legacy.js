import { submit } from './await.js';
import { announce, available, made } from './page.js';

const $ = (id) => document.getElementById(id);

$('curl').textContent = `# a job: its URL is in Location
curl -i -d months=6 ${location.origin}/reports
curl ${location.origin}/reports/<id>
curl ${location.origin}/reports/<id>/result

# or as before: the answer of the back end itself
curl -H 'Prefer: wait=20' -d months=6 ${location.origin}/reports`;

if (await available('/reports', 'conf/demo.conf')) {
  $('order').addEventListener('submit', (event) => { event.preventDefault(); order($('months').value); });
} else {
  $('order').querySelector('button').disabled = true;
}

async function order(months) {
  $('state').textContent = '';
  try {
    const job = await submit('/reports', new URLSearchParams({ months }));
    const view = show(months, job);
    try {
      for await (const event of job.events()) view.take(event);
      view.table(await (await job.result()).text());
    } catch (error) {
      view.fail(error.message);
    }
  } catch (error) {
    $('state').textContent = `Not ordered: ${error.message}`;
  }
}

function show(months, job) {
  const article = made('report');
  const states = [...article.querySelectorAll('.states li')];
  const cancel = article.querySelector('.cancel');
  const title = `Report of ${months} months`;
  const row = (cells, tag) => {
    const line = document.createElement('tr');
    line.append(...cells.map((textContent) => Object.assign(document.createElement(tag), { textContent })));
    return line;
  };
  article.querySelector('h2').textContent = title;
  article.title = job.id;
  cancel.addEventListener('click', () => job.cancel());         // its event follows
  $('reports').prepend(article);
  return {
    take(event) {
      const type = event.type === 'reset' ? event.state : event.type;
      const now = states.findIndex((item) => item.dataset.state === type);
      article.dataset.state = type;
      if (now >= 0) states.forEach((item, index) => { item.className = index < now ? 'past' : index === now ? 'now' : ''; });
      if (type === 'completed') cancel.hidden = true;
    },
    table(csv) {
      const [head, ...rows] = csv.trim().split('\n').map((line) => line.split(','));
      const first = row(head, 'th');
      for (const cell of first.children) cell.scope = 'col';
      article.querySelector('thead').replaceChildren(first);
      article.querySelector('tbody').replaceChildren(...rows.map((cells) => row(cells, 'td')));
      article.querySelector('table').hidden = false;
      announce(`${title}: completed`);
    },
    fail(why) {
      article.classList.add('failed');
      article.dataset.state = 'failed';
      article.querySelector('.note').textContent = why;
      cancel.hidden = true;
      announce(`${title}: ${why}`);
    },
  };
}
