import { announce, available, made } from './page.js';

const $ = (id) => document.getElementById(id);
const basic = { Authorization: `Basic ${btoa('admin:admin')}` };     // the demo's own user
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

$('curl').textContent = `curl -u admin:admin -F image=@test.jpg ${location.origin}/upload

# waits up to 30 s: COMPLETED, FAILED, TIMEOUT
curl ${location.origin}/image/status/<id>
curl -u admin:admin -o thumb.jpg ${location.origin}/image/<id>

# what the receiver of the demo has got
curl -N ${location.origin}/hooks`;

if (await available('/upload', 'conf/recipes/images.conf', basic)) {
  $('upload').addEventListener('submit', (event) => { event.preventDefault(); upload($('file').files[0], $('caption').value); });
  listen();
} else {
  $('upload').querySelector('button').disabled = true;
}

async function upload(file, caption) {
  const form = new FormData();
  form.append('image', file);
  form.append('caption', caption);
  $('state').textContent = '';
  try {
    const answer = await fetch('/upload', { method: 'POST', headers: basic, body: form });
    const uploaded = await answer.json();
    if (answer.status !== 202) throw new Error(uploaded.detail ?? uploaded.title);
    await follow(uploaded.id, show(file.name, uploaded));
  } catch (error) {
    $('state').textContent = `Not uploaded: ${error.message}`;
  }
}

/// The status holds, and says TIMEOUT if the client is to ask again.
async function follow(id, view) {
  for (;;) {
    const answer = await fetch(`/image/status/${id}`, { headers: { Accept: 'text/plain' } }).catch(() => null);
    const word = answer?.ok ? (await answer.text()).trim() : 'TIMEOUT';
    if (!answer?.ok) await pause(Number(answer?.headers.get('Retry-After')) || 1);
    view.status(word);
    if (word === 'COMPLETED') view.picture(await (await fetch(`/image/${id}`, { headers: basic })).blob());
    if (word !== 'TIMEOUT') return;
  }
}

function show(name, uploaded) {
  const article = made('image');
  article.querySelector('h2').textContent = name;
  article.title = uploaded.id;
  $('images').prepend(article);
  const view = {
    status(word) {
      article.dataset.status = word;
      article.classList.toggle('failed', word === 'FAILED');
      article.querySelector('.note').textContent = word;
      if (word !== 'PENDING' && word !== 'TIMEOUT') announce(`${name}: ${word.toLowerCase()}`);
    },
    picture(blob) {
      const image = article.querySelector('img');
      image.onload = () => { image.classList.add('there'); URL.revokeObjectURL(image.src); };
      image.alt = `Thumbnail of ${name}`;
      image.src = URL.createObjectURL(blob);
    },
  };
  view.status(uploaded.status);
  return view;
}

/// Requests that the receiver has got and verified, as it publishes them.
function listen() {
  new EventSource('/hooks').addEventListener('received', ({ data }) => {
    const { headers, event } = JSON.parse(data).data;
    const item = made('hook');
    item.querySelector('strong').textContent = event.type;
    item.querySelector('.note').textContent = `of ${event.data.job}, by ${event.data.owner ?? 'nobody'}; the signature is right`;
    item.querySelector('pre').textContent = `${Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join('\n')}

${JSON.stringify(event, null, 2)}`;
    item.dataset.job = event.data.job;
    $('none').hidden = true;
    $('hooks').prepend(item);
    while ($('hooks').children.length > 20) $('hooks').lastElementChild.remove();
  });
}
