import { once } from 'node:events';
import { createServer, connect as open, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { resetSocket } from '../../src/simulator/reset.ts';

/** A TCP proxy on this machine whose line can be made slow, parted or cut. */
export interface TcpProxy {
  port: number;
  /** How long each piece of data takes further, each way, in ms; 0: no time. */
  slow(ms: number): void;
  /** Lets nothing through, either way, of connections as `which` says and of new ones; nobody is told. */
  part(which?: () => boolean): void;
  /** Lets everything through again, what was held back first. */
  heal(): void;
  /** Resets connections as `which` says. */
  cut(which?: () => boolean): void;
  close(): Promise<void>;
}

const all = () => true;

/** Leads to a port of this machine. */
export async function openProxy(target: number): Promise<TcpProxy> {
  let slowMs = 0;
  let isParted = false;
  const lines = new Set<Line>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const line = joinLine(near, open({ port: target, host: '127.0.0.1', allowHalfOpen: true }), () => slowMs);
    lines.add(line);
    if (isParted) line.part();
    near.once('close', () => lines.delete(line));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    port: address.port,
    slow: (ms) => {
      slowMs = ms;
    },
    part: (which = all) => {
      isParted = true;
      for (const line of lines) if (which()) line.part();
    },
    heal: () => {
      isParted = false;
      for (const line of lines) line.heal();
    },
    cut: (which = all) => {
      for (const line of lines) if (which()) line.cut();
    },
    close: async () => {
      for (const line of lines) line.cut();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Line {
  part(): void;
  heal(): void;
  cut(): void;
}

function joinLine(near: Socket, far: Socket, slowMs: () => number): Line {
  let healed = Promise.withResolvers<void>();
  healed.resolve();
  const cut = () => {
    resetSocket(near);
    resetSocket(far);
  };
  const carry = async (from: Socket, to: Socket) => {
    for await (const data of from) {
      if (slowMs() > 0) await delay(slowMs());
      await healed.promise;
      to.write(data);
    }
    await healed.promise;
    to.end();
  };
  carry(near, far).catch(cut);
  carry(far, near).catch(cut);
  near.on('error', cut);
  far.on('error', cut);
  return {
    part: () => {
      healed = Promise.withResolvers();
    },
    heal: () => healed.resolve(),
    cut,
  };
}
