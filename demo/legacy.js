import { submit } from '/client/nginx-await.js';
import { $, announce, available, made, mark, row, tell, watched } from './page.js';

async function order(months) {
  try {
    tell();
    const job = await submit('/reports', new URLSearchParams({ months }));
    const view = show(months, job);
    try {
      for await (const { type, state } of watched(job).events()) view.state(state ?? type);
      view.report(await (await job.result()).text());
    } catch (error) {                                  // what the back end has refused, with its words
      view.fail(error.message);
    }
  } catch (error) {
    tell(`Not ordered: ${error.message}`);
  }
}

function show(months, job) {
  const article = made('report');
  const cancel = $('.cancel', article);
  const title = `Report of ${months} ${months === '1' ? 'month' : 'months'}`;
  $('h2', article).textContent = title;
  cancel.addEventListener('click', () => job.cancel().catch(() => {}));       // its event follows
  $('#reports').prepend(article);
  mark(article, 'pending');
  return {
    state(state) { mark(article, state); },
    report(csv) {
      const [head, ...rows] = csv.trim().split('\n').map((line) => line.split(','));
      const titles = row('th', head);
      for (const cell of titles.children) cell.scope = 'col';
      $('thead', article).append(titles);
      $('tbody', article).append(...rows.map((cells) => row('td', cells)));
      $('table', article).hidden = false;
      cancel.hidden = true;
      announce(`${title}: completed`);
    },
    fail(why) {
      article.classList.add('failed');
      article.dataset.state = 'failed';
      $('.why', article).textContent = why;
      cancel.hidden = true;
      announce(`${title}: ${why}`);
    },
  };
}

if (await available('/reports', 'conf/demo.conf')) {
  $('#order').addEventListener('submit', (event) => { event.preventDefault(); order(new FormData(event.target).get('months')); });
}
