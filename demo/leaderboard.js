import { announce, available } from './page.js';

const $ = (id) => document.getElementById(id);
const basic = { Authorization: `Basic ${btoa('admin:admin')}` };     // the demo's own user
const say = (text) => { if ($('state').textContent !== text) $('state').textContent = text; };
let leader = null;
let pause = 1000;

$('curl').textContent = `curl -u admin:admin -H 'Content-Type: application/json' \\
     -d '{"player":"ann","score":120}' ${location.origin}/scores
curl -k -u admin:admin -X POST ${location.origin}/ws/ticket        # once for each connection
curl -kN '${location.origin}/ws/leaderboard?ticket=<ticket>'`;

async function connect() {
  try {
    const answer = await fetch('/ws/ticket', { method: 'POST', headers: basic });
    if (answer.status === 403 && location.protocol === 'http:') return overTls();
    if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
    const { ticket } = await answer.json();
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/leaderboard?ticket=${ticket}`);
    socket.onopen = () => { pause = 1000; say('live'); };
    socket.onmessage = ({ data }) => show(JSON.parse(data).data.top);
    socket.onclose = again;                                            // a ticket is single-use
  } catch (error) {
    again(error);
  }
}

function overTls() {
  const link = Object.assign(document.createElement('a'), { href: '/tls', textContent: 'go there' });
  $('state').replaceChildren('Tickets are given over TLS only: ', link, '.');
}

function again(error) {
  say(error?.message ?? 'reconnecting');
  setTimeout(connect, pause * (0.75 + Math.random() / 2));
  pause = Math.min(30000, pause * 2);
}

function show(top) {
  if (leader !== null && leader !== top[0]?.player) announce(`${top[0]?.player} leads`);
  leader = top[0]?.player;
  $('board').replaceChildren(...top.map(({ player, score }) => {
    const item = document.createElement('li');
    item.append(Object.assign(document.createElement('b'), { textContent: player }), ` ${score}`);
    return item;
  }));
}

$('post').addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ player: $('player').value, score: Number($('score').value) });
  const headers = { 'Content-Type': 'application/json', ...basic };
  const answer = await fetch('/scores', { method: 'POST', headers, body }).catch(() => null);
  if (answer?.status !== 202) say(`not taken: ${answer ? answer.status : 'the server cannot be reached'}`);
});

if (await available('/scores', 'conf/recipes/leaderboard.conf', basic)) {
  connect();
}
