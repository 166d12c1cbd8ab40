// A WebSocket client: connects to a URL with a token, sends texts and binaries, and prints what comes back.

import WebSocket from 'ws';

const [url, token] = process.argv.slice(2);
const ws = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
const big = Buffer.alloc(1_000_000, 7);
const seen = [];
ws.on('open', () => {
  ws.send('ping');
  ws.send(big);
});
ws.on('message', (data, isBinary) => {
  seen.push(isBinary ? `binary ${data.length} ${data.equals(big)}` : data.toString());
  if (seen.length === 2) ws.close(1000, 'done');
});
ws.on('close', (code) => {
  console.log(JSON.stringify({ seen, code }));
  process.exit(0);
});
ws.on('unexpected-response', (_, response) => {
  console.log(JSON.stringify({ status: response.statusCode }));
  process.exit(0);
});
ws.on('error', (error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(1);
});
