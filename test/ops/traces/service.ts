import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { openProducer } from '../../../src/index.ts';

/*
 * Somebody's service with OpenTelemetry: `node service.ts <place> <id>` cancels one machine action under a span of its own
 * and prints how that ended; with `submit` it puts the id into the campaign `service`.
 */
const storage = new AsyncLocalStorage<Context>();
context.setGlobalContextManager({
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, run, that, ...args) => storage.run(active, () => run.call(that as never, ...args)),
  bind: (_active, target) => target,
  enable() {
    return this;
  },
  disable() {
    return this;
  },
});
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'runbook' }),
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())],
});
trace.setGlobalTracerProvider(provider);

const [place = '', id = '', what] = process.argv.slice(2);
await trace.getTracer('runbook').startActiveSpan('undo', async (span) => {
  await using producer = await openProducer(JSON.parse(place));
  if (what === 'submit') {
    await producer.submit([id], { campaign: 'service', comment: 'a comment that nobody else sees' });
  } else {
    const handle = await producer.cancel({ machineActionId: id, comment: 'a comment that nobody else sees' });
    const { outcome } = await handle.outcome();
    process.stdout.write(`${outcome}\n`);
  }
  span.end();
});
await provider.shutdown();
