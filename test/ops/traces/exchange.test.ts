import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Agent } from 'undici';
import { type Exchange, exchange } from '../../../src/defender/exchange.ts';
import { traceExchange } from '../../../src/ops/traces/exchange.ts';

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const traced = traceExchange(
  {
    tracer: provider.getTracer('test'),
    contexts: { active: () => ROOT_CONTEXT, with: (_context, run) => run() },
    attributes: {},
  },
  exchange,
);

let answers: Server;
let resets: Server;
let requests = 0;
const agent = new Agent({ connections: 1, pipelining: 1 });

before(async () => {
  answers = createServer((request, response) => {
    requests++;
    if (request.url !== '/hang') response.writeHead(request.url === '/404' ? 404 : 200).end('{}');
  });
  resets = createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  for (const server of [answers, resets]) await once(server.listen(0, '127.0.0.1'), 'listening');
});
after(async () => {
  await agent.destroy();
  answers.close();
  resets.close();
});

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const CASES: [what: string, call: () => Partial<Exchange>, kind: string, type: string | undefined][] = [
  ['an answer', () => ({}), 'answer', undefined],
  ['an error', () => ({ path: '/404' }), 'answer', '404'],
  ['held up before sending', () => ({ maySend: () => false }), 'unsent', 'TOO_LATE'],
  ['aborted before sending', () => ({ signal: AbortSignal.abort() }), 'unsent', 'ABORTED'],
  ['nobody there', () => ({ origin: 'http://127.0.0.1:1' }), 'unsent', 'ECONNREFUSED'],
  ['reset after sending', () => ({ origin: originOf(resets) }), 'lost', 'ECONNRESET'],
  ['no answer in time', () => ({ path: '/hang', timeoutMs: 100 }), 'lost', 'TIMEOUT'],
];

for (const [what, call, kind, type] of CASES) {
  test(`a call under a span comes to the same as one without: ${what}`, async () => {
    const asked: Exchange = {
      origin: originOf(answers),
      path: '/?secret=query',
      template: '/{id}',
      method: 'POST',
      headers: { authorization: 'Bearer of-nothing' },
      body: '{"Comment":"x"}',
      timeoutMs: 5_000,
      ...call(),
    };
    const tell = ({ kind, ...rest }: Awaited<ReturnType<typeof exchange>>) => [
      kind,
      'status' in rest ? rest.status : rest.code,
    ];
    exporter.reset();
    const before = requests;
    const bare = tell(await exchange(agent, asked));
    const own = requests - before;
    assert.deepEqual(tell(await traced(agent, asked)), bare);
    assert.equal(requests - before, 2 * own, 'sent as often');
    assert.equal(bare[0], kind);
    const [span] = exporter.getFinishedSpans();
    assert.equal(span?.name, 'POST /{id}');
    assert.equal(span.attributes['error.type'], type);
    assert.equal(span.attributes['standdown.answer'], kind === 'answer' ? undefined : kind);
    assert.equal(span.attributes['http.response.status_code'], kind === 'answer' ? bare[1] : undefined);
    assert.ok(!JSON.stringify([span.attributes, span.events]).match(/secret|Bearer|Comment/));
  });
}

test('whether it may be sent is still asked when it is written, not when its span begins', async () => {
  let asked = 0;
  const call: Exchange = {
    origin: originOf(answers),
    path: '/hang',
    method: 'GET',
    headers: {},
    timeoutMs: 300,
  };
  const first = traced(agent, call);
  const second = traced(agent, { ...call, path: '/', timeoutMs: 5_000, maySend: () => ++asked > 0 });
  assert.equal(asked, 0, 'the only connection is in use');
  assert.equal((await first).kind, 'lost');
  assert.equal((await second).kind, 'answer');
  assert.equal(asked, 1);
});
