import { createClient } from '/client/nginx-await.js';
import { $, announce, available, made, pause, tell } from './page.js';
import { samples } from './samples.js';

const headers = { Authorization: `Basic ${btoa('admin:admin')}` };     // the demo's own user
const client = createClient({ headers });
const receiver = createClient();

async function upload(form) {
  try {
    tell();
    const { id, url } = await client.submit('/upload', form);
    const view = show(form.get('image').name, id);
    if (await ended(url, view) === 'COMPLETED') view.picture(await (await fetch(`/image/${id}`, { headers })).blob());
  } catch (error) {
    tell(`Not uploaded: ${error.message}`);
  }
}

/// The status is held, and says TIMEOUT if the client is to ask again.
async function ended(url, view) {
  for (;;) {
    const answer = await fetch(url, { headers: { Accept: 'text/plain' } }).catch(() => null);
    const word = answer?.ok ? (await answer.text()).trim() : 'TIMEOUT';
    view.status(word);
    if (word !== 'TIMEOUT') return word;
    if (!answer?.ok) await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

function show(name, id) {
  const article = made('image');
  const image = $('img', article);
  $('h2', article).textContent = name;
  article.title = id;
  $('#images').prepend(article);
  const view = {
    status(word) {
      article.dataset.state = word.toLowerCase();
      $('.note', article).textContent = word;
      if (word !== 'PENDING' && word !== 'TIMEOUT') announce(`${name}: ${word.toLowerCase()}`);
    },
    picture(blob) {
      image.onload = () => { URL.revokeObjectURL(image.src); image.classList.add('there'); };
      image.alt = `Thumbnail of ${name}`;
      image.src = URL.createObjectURL(blob);
    },
  };
  view.status('PENDING');
  return view;
}

/// What the third party has received and verified, as it publishes it.
function received({ headers: sent, event }) {
  const item = made('hook');
  $('code', item).textContent = event.type;
  $('.note', item).textContent = `job ${event.data.job}, by ${event.data.owner ?? 'nobody'}`;
  $('pre', item).textContent = `${Object.entries(sent).map(([name, value]) => `${name}: ${value}`).join('\n')}\n\n${JSON.stringify(event, null, 2)}`;
  item.dataset.job = event.data.job;
  $('#hooks').prepend(item);
  while ($('#hooks').children.length > 20) $('#hooks').lastElementChild.remove();
}

if (await available('/upload', 'conf/recipes/images.conf', headers)) {
  $('#upload').addEventListener('submit', (event) => { event.preventDefault(); upload(new FormData(event.target)); });
  $('#sample').addEventListener('click', async () => {
    const form = new FormData($('#upload'));
    form.set('image', (await samples(1))[0]);
    upload(form);
  });
  for await (const { data } of receiver.topic('hooks', { events: '/hooks' }).events()) if (data) received(data);
}
