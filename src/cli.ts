#!/usr/bin/env node
import { nodeProblem } from './base/node-version.ts';

const problem = nodeProblem(process.versions.node);
if (problem !== null) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}
const { main } = await import('./cli/main.ts');
await main();
