import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { schemaFiles } from './schemas.ts';

/** For `npm run schemas`, which formats them afterwards: writes the contract's JSON Schemas anew. */
const docs = new URL('../../../docs/', import.meta.url).pathname;
for (const [name, schema] of Object.entries(schemaFiles())) {
  await writeFile(join(docs, name), JSON.stringify(schema));
}
