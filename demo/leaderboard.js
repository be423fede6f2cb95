import { createClient } from '/client/nginx-await.js';
import { $, announce, available, element, watched, tell } from './page.js';

const headers = { Authorization: `Basic ${btoa('admin:admin')}` };     // the demo's own user
const topic = 'topic:leaderboard';
const client = createClient({ headers, ticket });

/// A ticket for each connection: it is valid once. The recipe by itself gives them over TLS only.
async function ticket() {
  const answer = await fetch('/ws/ticket', { method: 'POST', headers });
  if (answer.status === 403) {
    client.close();
    tell('Tickets are given over TLS only: ', element('a', { href: '/tls', textContent: 'go there' }), '.');
  }
  return (await answer.json()).ticket;
}

const board = watched(client.watch({ channel: topic, socket: '/ws/leaderboard', channelOf: () => topic }));

async function follow() {
  for await (const { data } of board.events()) if (data?.top?.length) show(data.top);
}

async function post(player, score) {
  try {
    tell();
    await client.submit('/scores', { player, score });
  } catch (error) {
    tell(`Not taken: ${error.message}`);
  }
}

let leader = null;
function show(top) {
  const [{ player: first, score: most }] = top;
  if (leader && leader !== first) announce(`${first} leads`);
  leader = first;
  $('#board').replaceChildren(...top.map(({ player, score }) => element('li', {}, element('b', { textContent: player }),
    element('progress', { max: Math.max(most, 1), value: Math.max(score, 0), ariaHidden: 'true' }), element('span', { textContent: score }))));
}

if (await available('/scores', 'conf/recipes/leaderboard.conf', headers)) {
  $('#post').addEventListener('submit', (event) => {
    event.preventDefault();
    const { player, score } = Object.fromEntries(new FormData(event.target));
    post(player, Number(score));
  });
  $('#crowd').addEventListener('click', () => {
    for (const player of ['bob', 'cleo', 'dan', 'eve', 'finn', 'gwen', 'hal', 'iris', 'jon', 'kim']) post(player, Math.round(Math.random() * 200));
  });
  follow().catch(() => {});      // closed: it has told why
}
