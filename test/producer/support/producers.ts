import type { TestContext } from 'node:test';
import { openProducer, type Producer, type ProducerOptions } from '../../../src/index.ts';
import { openProducerAs } from '../../../src/producer/producer.ts';
import { atEnd } from '../../store/redis/support/machine.ts';
import { openTestRedis } from '../../support/redis.ts';
import { openStack, type Stack, type StackOptions } from '../../support/stack.ts';

export interface Service {
  stack: Stack;
  producer: Producer;
  /** Where the producer is: Redis and the tenant. */
  place: { redis: string; tenant: string };
}

export interface ServiceOptions extends StackOptions {
  /** Default true. */
  worker?: boolean;
  producer?: Partial<ProducerOptions>;
  /** Between two looks of the producer at what is waited for, in ms. Default: its own. */
  sweepMs?: number;
}

/** A worker and a simulator, and a service of somebody else's beside them. */
export async function openService(t: TestContext, options: ServiceOptions = {}): Promise<Service> {
  const server = await openTestRedis();
  atEnd(t, () => server.close());
  const stack = await openStack(server, options);
  atEnd(t, () => stack.close());
  if (options.worker !== false) await stack.startWorker();
  const place = { redis: server.url, tenant: stack.tenant.label };
  return { stack, place, producer: await openFor(t, { ...place, ...options.producer }, options.sweepMs) };
}

/** A producer that is closed at the end. */
export async function openFor(t: TestContext, options: ProducerOptions, sweepMs?: number): Promise<Producer> {
  const producer = await (sweepMs === undefined ? openProducer(options) : openProducerAs(options, sweepMs));
  atEnd(t, () => producer.close());
  return producer;
}

/** Everything that comes. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
