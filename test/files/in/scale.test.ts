import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readIdBatches } from '../../../src/files/in/id-file.ts';
import { guid, read, temporaryFolder } from './reading.ts';

test('10,000 lines keep their order and their numbers', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'ids.csv');
  const row = (n: number): string => (n % 3 === 0 ? `"${guid(n)}","a ""quoted"" host"` : `${guid(n)},host`);
  const rows = Array.from({ length: 10_000 }, (_, n) => row(n));
  await writeFile(path, ['id,host', ...rows].join('\r\n'));
  const reading = await read(path);
  assert.deepEqual(
    reading.lines,
    rows.map((_, n) => ({ line: n + 2, id: guid(n) })),
  );
  assert.equal(reading.summary?.lines, 10_001);
});

interface Kind {
  header?: string;
  row: (id: string, n: number) => string;
}

const FILES: Record<string, Kind> = {
  plain: { row: (id) => id },
  'CSV of 3 columns': { header: 'machineActionId,host,status', row: (id, n) => `${id},host-${n},Pending` },
  'CSV of 3 columns, all quoted as Export-Csv does': {
    header: '"machineActionId","host","status"',
    row: (id, n) => `"${id}","host-${n}","Pending"`,
  },
  'CSV of 3 columns, doubled quotes in each line': {
    header: 'machineActionId,host,status',
    row: (id, n) => `${id},"the ""host"" ${n}",Pending`,
  },
  'CSV of 3 columns, each record two lines': {
    header: 'machineActionId,host,comment',
    row: (id, n) => `${id},host-${n},"first\nsecond"`,
  },
  JSONL: { row: (id, n) => `{"machineActionId":"${id}","computerDnsName":"host-${n}","status":"Pending"}` },
};

for (const [name, { header, row }] of Object.entries(FILES)) {
  test(`10,000 ids from a file: ${name}`, async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'ids');
    const rows = Array.from({ length: 10_000 }, (_, n) => row(randomUUID(), n));
    await writeFile(path, [header ?? '# none', ...rows].join('\n'));
    let ids = 0;
    for await (const batch of readIdBatches(path)) for (const line of batch) if (line.id !== undefined) ids++;
    assert.equal(ids, 10_000);
  });
}
