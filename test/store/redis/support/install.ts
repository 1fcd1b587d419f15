// Installs a Redis server into the given folder and says where it is.
import pino from 'pino';
import { installServer } from '../../../../src/store/redis/server-install.ts';

const [, , dataDir = ''] = process.argv;
const lines: string[] = [];
const log = pino({}, { write: (line: string) => lines.push(line) });
const server = await installServer({ dataDir, path: process.env['PATH'] ?? '', log });
process.stdout.write(`${JSON.stringify({ ...server, unpacked: lines.length })}\n`);
