import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { adviseRedis } from '../../../src/store/redis/advice.ts';
import { packagesFor } from '../../../src/store/redis/debian.ts';
import { findServer, onPath } from '../../../src/store/redis/server-binary.ts';
import { installServer } from '../../../src/store/redis/server-install.ts';
import { isAtLeast } from '../../../src/store/redis/version.ts';
import {
  endProcess,
  eventually,
  INSTALL_DIR,
  PATH,
  quiet,
  redisServer,
  runScript,
  testFolder,
} from './support/machine.ts';

const APT = (await onPath('apt-get', PATH)) !== undefined;

function program(folder: string, name: string, lines: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), `#!/bin/sh\n${lines}\n`);
  chmodSync(join(folder, name), 0o755);
}

test('an installed server is found, and runs', async () => {
  const { version } = await redisServer();
  assert.match(version, /^\d+\.\d+/);
});

test('PATH comes first; what is too old or does not run is passed over', async (t) => {
  await redisServer();
  const folder = testFolder(t);
  const [broken, old, valkey] = [join(folder, 'broken'), join(folder, 'old'), join(folder, 'valkey')];
  program(broken, 'redis-server', 'exit 127');
  program(old, 'redis-server', 'echo "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64"');
  program(
    valkey,
    'valkey-server',
    'echo "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"',
  );
  assert.equal(await findServer({ path: broken, dataDir: folder }), undefined);
  assert.equal(await findServer({ path: old, dataDir: folder }), undefined);
  assert.equal(await findServer({ path: '', dataDir: folder }), undefined);
  const found = await findServer({ path: [old, valkey].join(delimiter), dataDir: INSTALL_DIR });
  assert.equal(found?.command, join(valkey, 'valkey-server'));
  assert.equal(found?.version, '8.1.1');
});

test('the one that was installed is used when PATH has none', { skip: !APT }, async () => {
  await installServer({ dataDir: INSTALL_DIR, path: PATH, log: quiet });
  const found = await findServer({ path: '/nowhere', dataDir: INSTALL_DIR });
  assert.equal(found?.command, join(INSTALL_DIR, 'redis-root/usr/bin/redis-server'));
});

test('of two set-ups at once one installs; a killed one leaves nothing half-made', {
  skip: !APT,
}, async (t) => {
  const folder = testFolder(t);
  const killed = runScript(t, 'install.ts', folder);
  const working = () => readdirSync(folder).filter((name) => name.startsWith('redis-root.work-'));
  await eventually(() => assert.equal(working().length, 1));
  await endProcess(killed.child, 'SIGKILL');
  assert.equal(existsSync(join(folder, 'redis-root')), false);

  const [one, two] = [runScript(t, 'install.ts', folder), runScript(t, 'install.ts', folder)];
  const said = [await one.next(), await two.next()];
  assert.deepEqual(said.map((line) => line['unpacked']).sort(), [0, 1]);
  assert.equal(said[0]?.['command'], join(folder, 'redis-root/usr/bin/redis-server'));
  assert.equal(said[0]?.['command'], said[1]?.['command']);
  assert.deepEqual(readdirSync(folder).sort(), ['redis-root', 'redis-root.lock']);
});

test('packages that cannot be had: the error holds the last word of apt, and what to do', async (t) => {
  const folder = testFolder(t);
  const bin = join(folder, 'bin');
  program(bin, 'apt-get', 'echo "E: Unable to locate package redis-server" >&2; exit 100');
  program(bin, 'dpkg', 'exit 1');
  await assert.rejects(installServer({ dataDir: folder, path: bin, log: quiet, platform: 'linux' }), {
    code: 'REDIS_MISSING',
    message:
      'Redis could not be unpacked from the system packages (E: Unable to locate package redis-server); install it with "sudo apt-get install redis-server", or start Redis with "docker compose up -d redis" and set REDIS_URL=redis://:PASSWORD@127.0.0.1:6379',
  });
  assert.deepEqual(readdirSync(folder).sort(), ['bin', 'redis-root.lock']);
});

test('where there is no apt the error says how to get Redis there', async (t) => {
  const folder = testFolder(t);
  program(join(folder, 'bin'), 'dnf', 'exit 0');
  const install = (platform: NodeJS.Platform, path: string) =>
    installServer({ dataDir: folder, path, log: quiet, platform });
  await assert.rejects(install('linux', join(folder, 'bin')), {
    code: 'REDIS_MISSING',
    message: /dnf install redis/,
  });
  await assert.rejects(install('darwin', ''), { code: 'REDIS_MISSING', message: /brew install redis/ });
  await assert.rejects(install('win32', ''), { code: 'REDIS_MISSING', message: /WSL/ });
});

test('advice by machine', () => {
  const cases: [NodeJS.Platform, string[], RegExp][] = [
    [
      'darwin',
      ['brew'],
      /^install it with "brew install redis", or start Redis with "docker compose up -d redis"/,
    ],
    ['darwin', [], /Homebrew/],
    ['linux', ['apk'], /apk add redis/],
    ['linux', ['yum', 'dnf'], /dnf install/],
    ['linux', [], /package manager.*REDIS_URL/],
    ['win32', ['apt-get'], /WSL/],
  ];
  for (const [platform, managers, expected] of cases)
    assert.match(adviseRedis({ platform, managers }), expected);
});

test('packages of libraries, by Debian naming', () => {
  const cases: [string, string[]][] = [
    ['libjemalloc.so.2', ['libjemalloc2', 'libjemalloc2t64']],
    ['liblua5.1.so.0', ['liblua5.1-0', 'liblua5.1-0t64']],
    ['libcrypto.so.3', ['libssl3', 'libssl3t64']],
    ['libsystemd.so.0', ['libsystemd0', 'libsystemd0t64']],
    ['libhiredis.so.1.1.0', ['libhiredis1.1.0', 'libhiredis1.1.0t64']],
    ['strange.so', []],
  ];
  for (const [library, expected] of cases) assert.deepEqual(packagesFor(library), expected);
});

test('versions', () => {
  const cases: [string, string, boolean][] = [
    ['6.2', '6.2', true],
    ['6.2.14', '6.2', true],
    ['7.0', '6.2', true],
    ['10.0', '6.2', true],
    ['6.0.16', '6.2', false],
    ['6', '6.2', false],
    ['255.255.255', '6.2', true],
  ];
  for (const [have, need, expected] of cases) assert.equal(isAtLeast(have, need), expected, have);
});

test('a program is found as a shell would', async (t) => {
  const folder = testFolder(t);
  program(join(folder, 'a'), 'tool', '');
  chmodSync(join(folder, 'a', 'tool'), 0o644);
  program(join(folder, 'b'), 'real', '');
  symlinkSync('real', join(folder, 'b', 'tool'));
  const path = ['', join(folder, 'a'), join(folder, 'none'), join(folder, 'b')].join(delimiter);
  assert.equal(await onPath('tool', path), join(folder, 'b', 'tool'));
});
