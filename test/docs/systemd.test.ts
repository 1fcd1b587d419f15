import assert from 'node:assert/strict';
import { it } from 'node:test';
import { EXIT } from '../../src/cli/context.ts';
import { SETTINGS } from '../../src/config/config.ts';
import { blocksOf, longestStopMs } from './facts.ts';

it('the unit in docs/systemd.md', async () => {
  const [unit = '', ...more] = await blocksOf('systemd.md', 'ini');
  assert.deepEqual(more, []);
  const valuesOf = (name: string) =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
  const [stopSeconds] = valuesOf('TimeoutStopSec');
  assert.ok(Number(stopSeconds) * 1_000 > longestStopMs(), 'it may take as long to stop as it can');
  assert.match(valuesOf('ExecStart').join(), /^\S+\/node --disable-sigusr1 \S+\/dist\/cli\.js worker$/);
  for (const set of valuesOf('Environment')) assert.ok(SETTINGS.has(set.split('=')[0] ?? ''), set);
  const rights = [
    'LimitCORE',
    'NoNewPrivileges',
    'CapabilityBoundingSet',
    'ProtectSystem',
    'SystemCallFilter',
  ];
  assert.deepEqual(rights.flatMap(valuesOf), ['0', 'yes', '', 'strict', '@system-service']);
  assert.deepEqual(
    [valuesOf('Restart'), valuesOf('RestartPreventExitStatus'), valuesOf('DynamicUser')],
    [['on-failure'], [String(EXIT.usage)], ['yes']],
  );
});
