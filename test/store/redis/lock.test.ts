import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockHolder, withLock } from '../../../src/store/redis/lock.ts';
import { startTimeFromPs, startTimeOf } from '../../../src/store/redis/process.ts';
import { endProcess, runScript, testFolder } from './support/machine.ts';

const params = (path: string) => ({ path, waitMs: 5000, what: 'testing', code: 'REDIS_MISSING' }) as const;

test('only one of several processes is in it at a time', async (t) => {
  const folder = testFolder(t);
  const [path, file] = [join(folder, 'lock'), join(folder, 'count')];
  writeFileSync(file, '0');
  const scripts = Array.from({ length: 5 }, () => runScript(t, 'use-lock.ts', path, file, 'count', '40'));
  await Promise.all(scripts.map((script) => script.next()));
  assert.equal(readFileSync(file, 'utf8'), '200');
  assert.deepEqual(readdirSync(folder).sort(), ['count', 'lock'], 'nothing else is left');
});

test('the lock of a killed holder is taken over by one of those who wait', async (t) => {
  const folder = testFolder(t);
  const [path, file] = [join(folder, 'lock'), join(folder, 'count')];
  writeFileSync(file, '0');
  const holder = runScript(t, 'use-lock.ts', path, file, 'hold');
  await holder.next();
  assert.equal(await lockHolder(path), holder.child.pid);
  const scripts = Array.from({ length: 5 }, () => runScript(t, 'use-lock.ts', path, file, 'count', '20'));
  await endProcess(holder.child, 'SIGKILL');
  await Promise.all(scripts.map((script) => script.next()));
  assert.equal(readFileSync(file, 'utf8'), '100');
  assert.equal(await lockHolder(path), undefined);
});

test('many holders killed one after the other never let two in', async (t) => {
  const folder = testFolder(t);
  const [path, file] = [join(folder, 'lock'), join(folder, 'count')];
  writeFileSync(file, '0');
  const counters = Array.from({ length: 3 }, () => runScript(t, 'use-lock.ts', path, file, 'count', '60'));
  for (let round = 0; round < 5; round += 1) {
    const holder = runScript(t, 'use-lock.ts', path, file, 'hold');
    await holder.next();
    await endProcess(holder.child, 'SIGKILL');
  }
  await Promise.all(counters.map((script) => script.next()));
  assert.equal(readFileSync(file, 'utf8'), '180');
});

test('waiting for a living holder ends with an error that names it', async (t) => {
  const folder = testFolder(t);
  const path = join(folder, 'lock');
  const holder = runScript(t, 'use-lock.ts', path, '', 'hold');
  await holder.next();
  const waiting = withLock({ ...params(path), waitMs: 100 }, async () => assert.fail('must not get in'));
  await assert.rejects(waiting, {
    code: 'REDIS_MISSING',
    message: new RegExp(`^process ${holder.child.pid} has been testing .* \\(kill ${holder.child.pid}\\)`),
  });
});

test('a process keeps itself out too, and an error gives the lock back', async (t) => {
  const path = join(testFolder(t), 'lock');
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} in`);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} out`);
    throw new Error(name);
  };
  await Promise.allSettled([withLock(params(path), work('a')), withLock(params(path), work('b'))]);
  assert.equal(order.length, 4);
  assert.equal(order[0]?.[0], order[1]?.[0]);
  assert.equal(order[2]?.[0], order[3]?.[0]);
});

test('a pid that was given to another process since does not hold the lock', async (t) => {
  const path = join(testFolder(t), 'lock');
  mkdirSync(path);
  writeFileSync(join(path, `${process.pid}-12345-abc`), '');
  assert.equal(await lockHolder(path), undefined);
  assert.equal(await withLock(params(path), async () => 'in'), 'in');
});

test('an empty lock folder is free', async (t) => {
  const path = join(testFolder(t), 'lock');
  mkdirSync(path);
  assert.equal(await withLock(params(path), async () => lockHolder(path)), process.pid);
});

test('start times: the same for a process each time, none for one that is gone', async () => {
  assert.equal(await startTimeOf(process.pid), await startTimeOf(process.pid));
  assert.notEqual(await startTimeOf(process.pid), undefined);
  assert.equal(await startTimeOf(2 ** 22 + 1), undefined);
  const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(process.pid)], { encoding: 'utf8' });
  assert.match(startTimeFromPs(line) ?? '', /^[A-Za-z0-9]{15,}$/);
  assert.equal(startTimeFromPs('Z+   Mon Nov 23 22:19:00 2026\n'), undefined);
  assert.equal(startTimeFromPs(''), undefined);
});

test('a lock that could not be given back is free to the process that had it', async (t) => {
  const path = join(testFolder(t), 'lock');
  const obstacle = join(path, 'free');
  // What a file is renamed to may be no folder.
  const stuck = withLock(params(path), async () => mkdirSync(obstacle));
  await assert.rejects(stuck, { code: 'EISDIR' });
  rmdirSync(obstacle);
  assert.equal(readdirSync(path).length, 1);
  assert.equal(await withLock({ ...params(path), waitMs: 100 }, async () => 'in'), 'in');
  assert.deepEqual(readdirSync(path), ['free']);
});
