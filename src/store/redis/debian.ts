import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { librariesIn } from './server-binary.ts';

const run = promisify(execFile);

/** The two that hold the server; which libraries it needs beyond the system's differs by release and is looked up. */
const PACKAGES = ['redis-server', 'redis-tools'];
/** Libraries of libraries show only when the first ones are there. */
const LIBRARY_ROUNDS = 4;
const APT_TIMEOUT_MS = 180_000;

export interface DebianParams {
  /** Absolute paths of the two tools. */
  aptGet: string;
  dpkg: string;
  /** PATH for the tools they call. */
  path: string;
  /** An empty folder for lists, packages and the tree; the caller removes it. */
  work: string;
}

/**
 * Unpacks Redis and the libraries this system lacks into a tree, and returns the tree's folder. Needs no root and
 * leaves apt's and dpkg's own state alone. Throws when apt cannot get the packages, with apt's last word.
 */
export async function unpackDebianRedis({ aptGet, dpkg, path, work }: DebianParams): Promise<string> {
  const tree = join(work, 'tree');
  const apt = await openApt({ aptGet, work });
  const unpack = async (names: readonly string[]) => {
    for (const file of await apt.download(names)) await run(dpkg, ['-x', file, tree]);
  };
  try {
    await unpack(PACKAGES);
  } catch {
    // The system's lists are empty, or so old that the archive has moved on.
    await apt.makeOwnLists();
    await unpack(PACKAGES);
  }
  for (let round = 0; round < LIBRARY_ROUNDS; round += 1) {
    const lacking = await lackingLibraries({ tree, path });
    if (lacking.length === 0) break;
    for (const library of lacking) await unpackFirst(packagesFor(library), unpack);
  }
  return tree;
}

interface Apt {
  /** Returns the files. */
  download(names: readonly string[]): Promise<string[]>;
  /** From then on the system's lists are not used. */
  makeOwnLists(): Promise<void>;
}

async function openApt({ aptGet, work }: Pick<DebianParams, 'aptGet' | 'work'>): Promise<Apt> {
  const settings = join(work, 'apt.conf');
  await mkdir(join(work, 'cache/archives/partial'), { recursive: true });
  await mkdir(join(work, 'lists/partial'), { recursive: true });
  await writeFile(settings, aptSettings(work));
  const apt = async (folder: string, ...args: string[]) => {
    await run(aptGet, ['-q', '-c', settings, ...args], { cwd: folder, timeout: APT_TIMEOUT_MS }).catch(
      rethrowBriefly,
    );
  };
  return {
    download: async (names) => {
      const folder = await mkdtemp(join(work, 'packages-'));
      await apt(folder, 'download', ...names);
      return (await readdir(folder))
        .filter((name) => name.endsWith('.deb'))
        .map((name) => join(folder, name));
    },
    makeOwnLists: async () => {
      await appendFile(settings, `Dir::State::lists "${join(work, 'lists')}";\n`);
      // It fails when a single third-party source is out of reach; whether that matters shows at the download.
      await apt(work, 'update').catch(() => undefined);
    },
  };
}

/** Read after the system's own settings. Hooks are cleared for they would touch the system's cache. */
function aptSettings(work: string): string {
  return [
    `Dir::Cache "${join(work, 'cache')}";`,
    'Dir::Cache::pkgcache "pkgcache.bin";',
    'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
    'Debug::NoLocking "1";',
    // As root apt would hand the download to a user who may not enter our folder.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "1";',
    'Acquire::http::Timeout "15";',
    'Acquire::https::Timeout "15";',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '',
  ].join('\n');
}

/** Libraries that the loader does not find, such as `libjemalloc.so.2`. */
async function lackingLibraries({ tree, path }: { tree: string; path: string }): Promise<string[]> {
  const env = { PATH: path, LD_LIBRARY_PATH: (await librariesIn(tree)).join(delimiter) };
  const { stdout } = await run('ldd', [join(tree, 'usr/bin/redis-server')], { env });
  return [...stdout.matchAll(/^\s*(\S+) => not found$/gm)].map((match) => match[1] ?? '');
}

/**
 * The packages that may hold a library, by Debian's rule for their names (Policy 8.1): the library's name and version,
 * with a hyphen between when the name ends in a digit, and `t64` for those rebuilt for 64-bit time.
 */
export function packagesFor(library: string): string[] {
  const [, stem = '', version = ''] = /^(.+)\.so\.([\d.]+)$/.exec(library) ?? [];
  if (stem === '') return [];
  // OpenSSL ships its two libraries in one package.
  const name = (stem === 'libcrypto' ? 'libssl' : stem).toLowerCase().replaceAll('_', '-');
  const base = /\d$/.test(name) ? `${name}-${version}` : `${name}${version}`;
  return [base, `${base}t64`];
}

async function unpackFirst(
  names: readonly string[],
  unpack: (names: string[]) => Promise<void>,
): Promise<void> {
  for (const name of names) {
    const done = await unpack([name]).then(
      () => true,
      () => false,
    );
    if (done) return;
  }
  // What is still lacking shows when the server is tried.
}

function rethrowBriefly(error: unknown): never {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  throw stderr === '' ? error : new Error(stderr.split('\n').at(-1), { cause: error });
}
