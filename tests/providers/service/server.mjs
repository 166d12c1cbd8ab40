// A service on loopback for the tests of the proxy: what real services do with a connection, on request.
//
// It prints one line of JSON when it is ready, and ends when its standard input closes. It protects nothing: what it was sent
// is in its answers, for the tests to judge.

import { createHash } from 'node:crypto';
import http from 'node:http';
import { WebSocketServer } from 'ws';

let requests = 0;
let aborted = 0;

// The request as it arrived: the names of headers as they were written, and the body's length and digest.
const echo = (request, response) => {
  const digest = createHash('sha256');
  let length = 0;
  request.on('data', (chunk) => {
    digest.update(chunk);
    length += chunk.length;
  });
  request.on('end', () => {
    const { method, url, rawHeaders } = request;
    const seen = { method, url, rawHeaders, trailers: request.rawTrailers, length, sha256: digest.digest('hex'), requests };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(seen));
  });
};

const routes = {
  '/echo': echo,
  '/hello': (_, response) => response.end('hello'),
  // The state of this process, which isn't a request that counts.
  '/_state': (_, response) => {
    requests -= 1;
    response.end(JSON.stringify({ requests, aborted }));
  },
  '/events': (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let number = 0;
    const timer = setInterval(() => response.write(`data: ${number++}\n\n`), 20);
    response.on('close', () => {
      clearInterval(timer);
      aborted += 1;
    });
  },
  // Announces more than comes.
  '/dies': (_, response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('half', () => response.socket.destroy());
  },
  '/dies/chunked': (_, response) => {
    response.writeHead(200);
    response.write('half', () => response.socket.destroy());
  },
  '/dies/at-once': (_, response) => response.socket.destroy(),
  '/cookies': (_, response) => {
    response.writeHead(200, {
      'set-cookie': ['session=theirs', 'b=2'],
      'strict-transport-security': 'max-age=1',
      'clear-site-data': '"*"',
      connection: 'keep-alive, x-hop',
      'x-hop': 'one',
      'x-end': 'to-end',
      'content-type': 'text/html',
    });
    response.end('<script>1</script>');
  },
  '/busy': (_, response) => {
    response.writeHead(503, { 'retry-after': '60' });
    response.end();
  },
  '/fails': (_, response) => {
    response.writeHead(500);
    response.end('no');
  },
  // As much as is asked for, without a length.
  '/zeros': (request, response) => {
    let left = Number(new URL(request.url, 'http://x').searchParams.get('bytes'));
    const piece = Buffer.alloc(256 * 1024);
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, piece.length);
        left -= size;
        if (!response.write(size === piece.length ? piece : piece.subarray(0, size))) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  },
};

const server = http.createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, (request, response) => {
  requests += 1;
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  const path = pathname.replace(/^\/base/, '');
  if (path === '/redirect') {
    response.writeHead(302, { location: searchParams.get('to') });
    response.end();
  } else if (path === '/guarded') {
    // Takes one token only.
    const good = request.headers.authorization === 'Bearer second';
    response.statusCode = good ? 200 : 401;
    if (good) echo(request, response);
    else request.resume().on('end', () => response.end('{"error":"expired"}'));
  } else {
    (routes[path] ?? echo)(request, response);
  }
});

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  requests += 1;
  if (request.headers.authorization !== 'Bearer first') {
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (ws) => {
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
  });
});

// Tokens for whoever asks: the second, the third, … by the client's credentials.
let tokens = 0;
routes['/token'] = (request, response) => {
  request.resume().on('end', () => {
    tokens += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: ['first', 'second', 'third'][tokens - 1] ?? 'more', expires_in: 3600 }));
  });
};

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: true, url: `http://127.0.0.1:${server.address().port}` }));
});
process.stdin.resume().on('end', () => process.exit(0));
