import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from '../../store/redis/support/machine.ts';
import { ROOT, startProgram } from '../../support/processes.ts';
import { TEST_DIR } from '../../support/redis.ts';
import { newLabel } from '../../support/tenant.ts';

/** What the package is made of. */
const SOURCES = [
  ...['src', 'docs', 'package.json', 'tsconfig.json', 'tsconfig.build.json'],
  ...['README.md', 'CHANGELOG.md', 'LICENSE', '.env.example'],
];

/** npm as it comes with the Node that runs this, or of the machine. */
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** How this machine comes to a registry. */
const NETWORK = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    /^npm_config_|_proxy$|^NODE_EXTRA_CA_CERTS$/i.test(name) && value !== undefined ? [[name, value]] : [],
  ),
);

/** A folder for a test, removed at its end. */
export async function packageFolder(t: TestContext): Promise<string> {
  const folder = join(TEST_DIR, `package-${newLabel()}`);
  await mkdir(folder, { recursive: true });
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const child = startProgram(program, args, { cwd, env: NETWORK });
  assert.equal(await child.exited, 0, `${program} ${args.join(' ')}: ${child.stdout}${child.stderr}`);
  return child.stdout;
}

/** Builds and packs a copy, so that nobody's `dist` changes under them. @returns the tarball's path. */
export async function packCopy(folder: string): Promise<string> {
  const copy = join(folder, 'copy');
  await mkdir(copy);
  for (const name of SOURCES) await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  // Its script "prepack" builds.
  await run(NPM, ['pack', '--pack-destination', folder], copy);
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  assert(tarball !== undefined, 'npm pack wrote no tarball');
  return join(folder, tarball);
}

export async function bytesOf(file: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(file));
}
