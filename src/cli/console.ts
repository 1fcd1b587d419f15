import { once } from 'node:events';
import { isIP } from 'node:net';
import { tenantOf } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import type { ConsoleConfig } from '../config/config.ts';
import { type Console, startConsole } from '../console/open.ts';
import type { ShownTenant } from '../console/tenants.ts';
import type { Spool } from '../files/in/spool.ts';
import { actorOf } from './actor.ts';
import { type CommandContext, EXIT } from './context.ts';
import { previewSpool } from './preview.ts';
import { followTenants } from './tenants.ts';

export interface ConsoleOptions {
  port?: string;
  host?: string;
}

/** Runs the console until stopped: for one tenant, or for all in TENANTS_FILE unless one is named. */
export async function runConsole(context: CommandContext, options: ConsoleOptions): Promise<number> {
  const { config, env, stop } = context;
  const file = env['STANDDOWN_TENANT'] ? null : config.tenantsFile;
  if (file === null) tenantOf(config);
  const served = await serveConsole(context, options);
  try {
    if (file === null) {
      await served.set([config]);
      await untilAborted(stop);
    } else {
      const following = await followTenants(context, file, served, 'looks');
      await untilAborted(stop).finally(following.stop);
    }
  } finally {
    await served.stop();
  }
  return EXIT.done;
}

/** @throws StanddownError USAGE, CONFIG_INVALID, and the errors of finding Redis. */
export async function serveConsole(context: CommandContext, options: ConsoleOptions = {}): Promise<Console> {
  const served = await startConsole(context, {
    settings: settingsOf(context.config.console, options),
    operator: actorOf([]).by,
    version: context.version,
    preview: (shown, spool, signal) => previewLines(context, shown, spool, signal),
  });
  context.log.info({ url: served.url }, 'console started');
  return served;
}

/** The preview that `submit` shows before it asks. */
export async function previewLines(
  context: Pick<CommandContext, 'stop' | 'out' | 'config'>,
  { config, tenant }: Pick<ShownTenant, 'config' | 'tenant'>,
  spool: Spool,
  signal: AbortSignal,
): Promise<string[]> {
  const lines: string[] = [];
  const out = { ...context.out, note: (line: string) => void lines.push(line) };
  const stop = AbortSignal.any([context.stop, signal]);
  await previewSpool({ stop, config, out }, tenant, spool);
  return lines;
}

function settingsOf(settings: ConsoleConfig, { port, host }: ConsoleOptions): ConsoleConfig {
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535))
    throw new StanddownError('USAGE', `--port: ${JSON.stringify(port)} is not a port from 0 to 65535`);
  if (host !== undefined && host !== 'localhost' && isIP(host) === 0)
    throw new StanddownError('USAGE', `--host: ${JSON.stringify(host)} is not an address such as 127.0.0.1`);
  return {
    ...settings,
    ...(port !== undefined && { port: Number(port) }),
    ...(host !== undefined && { host }),
  };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
