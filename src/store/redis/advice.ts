/** What decides how Redis is best had on a machine. */
export interface MachineFacts {
  platform: NodeJS.Platform;
  /** Package managers found on PATH, of those in `PACKAGE_MANAGERS`. */
  managers: readonly string[];
}

const HOW: Readonly<Record<string, string>> = {
  brew: 'brew install redis',
  'apt-get': 'sudo apt-get install redis-server',
  dnf: 'sudo dnf install redis (or valkey)',
  yum: 'sudo yum install redis (or valkey)',
  zypper: 'sudo zypper install redis (or valkey)',
  pacman: 'sudo pacman -S valkey',
  apk: 'apk add redis (or valkey)',
  pkg: 'pkg install redis',
};

/** Those that `adviseRedis` knows a command for; the first one found is named. */
export const PACKAGE_MANAGERS: readonly string[] = Object.keys(HOW);

/** One sentence part that says how to get a Redis on this machine: "install it with …, or …". */
export function adviseRedis({ platform, managers }: MachineFacts): string {
  const elsewhere =
    'start Redis with "docker compose up -d redis" and set REDIS_URL=redis://:PASSWORD@127.0.0.1:6379';
  if (platform === 'win32') return `run Standdown inside WSL (wsl --install), or ${elsewhere}`;
  const manager = PACKAGE_MANAGERS.find((name) => managers.includes(name));
  if (manager !== undefined) return `install it with "${HOW[manager]}", or ${elsewhere}`;
  return platform === 'darwin'
    ? `install it with "brew install redis" (Homebrew: https://brew.sh), or ${elsewhere}`
    : `install redis-server or valkey-server with this system's package manager, or ${elsewhere}`;
}
