const $ = (id) => document.getElementById(id);
const basic = { Authorization: `Basic ${btoa('admin:admin')}` };     // the demo's own user
const say = (text) => { $('state').textContent = text; };

$('curl').textContent = `curl -u admin:admin -H 'Content-Type: application/json' \\
     -d '{"player":"ann","score":120}' ${location.origin}/scores
curl -k -u admin:admin -X POST ${location.origin}/ws/ticket
curl -kN '${location.origin}/ws/leaderboard?ticket=<ticket>'`;

async function connect() {
  try {
    const answer = await fetch('/ws/ticket', { method: 'POST', headers: basic });
    if (!answer.ok) throw new Error(answer.status === 404 ? 'make run CONF=conf/recipes/leaderboard.conf' : `no ticket: ${answer.status}`);
    const { ticket } = await answer.json();
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws/leaderboard?ticket=${ticket}`);
    socket.onopen = () => say('live');
    socket.onmessage = ({ data }) => show(JSON.parse(data).data.top);
    socket.onclose = () => { say('reconnecting'); setTimeout(connect, 1000); };    // a ticket is single-use
  } catch (error) {
    say(error.message);
    setTimeout(connect, 3000);
  }
}

function show(top) {
  $('board').replaceChildren(...top.map(({ player, score }) => {
    const item = document.createElement('li');
    item.append(Object.assign(document.createElement('b'), { textContent: player }), ` ${score}`);
    return item;
  }));
}

$('post').addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ player: $('player').value, score: Number($('score').value) });
  const answer = await fetch('/scores', { method: 'POST', headers: { 'Content-Type': 'application/json', ...basic }, body });
  if (answer.status !== 202) say(`not taken: ${answer.status}`);
});

if (location.protocol === 'https:') connect();
else $('state').innerHTML = 'tickets are given over TLS only: <a href="/tls">go there</a>';
