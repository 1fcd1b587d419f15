import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createDrafts, type Draft } from '../../src/console/drafts.ts';
import { openSpool, type Spool } from '../../src/files/in/spool.ts';
import { newIds } from '../support/ledger.ts';

const IDS = 10_000;

describe('what was handed in through the console', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'standdown-drafts-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  async function newDraft(): Promise<Omit<Draft, 'id' | 'madeAt'>> {
    const spool = await openSpool(dir);
    await spool.add(newIds(IDS));
    const wish = { name: 'a', comment: 'b', priority: 5, expiresInMs: null };
    return {
      wish,
      spool,
      owner: 'anna',
      tenant: 't',
      source: 'x',
      pasted: null,
      ids: IDS,
      duplicates: 0,
      problems: 0,
      lines: [],
      plan: null,
      plannedAt: 0,
      about: null,
      failure: null,
    };
  }

  const idle = async () => {};
  async function read(spool: Spool, signal?: AbortSignal): Promise<number> {
    let bytes = 0;
    for await (const part of spool.read(signal)) bytes += part.length;
    return bytes / 16;
  }
  const isClosed = async (spool: Spool) => assert.rejects(read(spool), { code: 'EBADF' });

  it('stays readable for what finds out about it, and is closed then', async () => {
    const drafts = createDrafts();
    const handed = await newDraft();
    const begun = Promise.withResolvers<AbortSignal>();
    const go = Promise.withResolvers<void>();
    const found = Promise.withResolvers<number>();
    const draft = drafts.add(handed, async ({ spool }, signal) => {
      begun.resolve(signal);
      await go.promise;
      found.resolve(await read(spool));
    });
    const signal = await begun.promise;
    drafts.drop(draft);
    assert.ok(signal.aborted, 'it may stop');
    assert.throws(() => drafts.find(draft.id, 't', 'anna'), /no longer kept/);
    go.resolve();
    assert.equal(await found.promise, IDS);
    await new Promise(setImmediate);
    await isClosed(draft.spool);
    await assert.rejects(read((await newDraft()).spool, signal), { name: 'AbortError' });
  });

  it('is submitted once, and kept where that fails', async () => {
    const drafts = createDrafts();
    const draft = drafts.add(await newDraft(), idle);
    const failed = drafts.use(draft, async () => {
      assert.throws(() => drafts.find(draft.id, 't', 'anna'), /submitted already/, 'not twice at once');
      throw new Error('Redis is away');
    });
    await assert.rejects(failed, /away/);
    assert.equal(drafts.find(draft.id, 't', 'anna'), draft);
    assert.equal(await drafts.use(draft, () => read(draft.spool)), IDS);
    assert.throws(() => drafts.find(draft.id, 't', 'anna'), /submitted already/);
  });

  it('is nobody else’s, nor of another tenant', async () => {
    const drafts = createDrafts();
    const draft = drafts.add(await newDraft(), idle);
    assert.throws(() => drafts.find(draft.id, 't', 'bob'), /check them again/);
    assert.throws(() => drafts.find(draft.id, 'u', 'anna'), /check them again/);
    assert.equal(drafts.find(draft.id, 't', 'anna'), draft);
    await drafts.close();
    await isClosed(draft.spool);
  });

  it('makes way where there are too many', async () => {
    const drafts = createDrafts();
    const all: Draft[] = [];
    for (let made = 0; made < 25; made++) all.push(drafts.add(await newDraft(), idle));
    const kept = all.filter(({ id }) => {
      try {
        return drafts.find(id, 't', 'anna');
      } catch {
        return false;
      }
    });
    assert.deepEqual(kept, all.slice(-20));
    await drafts.close();
  });
});
