#!/usr/bin/env node
// The first line of what happens, so that an older Node says what is wrong instead of failing at some syntax.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`standdown needs Node.js 22.19 or later; this is ${process.version}\n`);
  process.exit(1);
}
const { main } = await import('./main.ts');
await main();

export {};
