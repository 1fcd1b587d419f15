import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Everything that a page loads, by the name under which it does. Nothing comes from anywhere else. */
const FILES: Readonly<Record<string, string>> = {
  'console.js': import.meta.resolve('./client/console.js'),
  'duration.js': import.meta.resolve('./client/duration.js'),
  'chart.js': import.meta.resolve('./client/chart.js'),
  'console.css': import.meta.resolve('./client/console.css'),
  'icon.svg': import.meta.resolve('./client/icon.svg'),
  'report.css': import.meta.resolve('../files/report/style.css'),
  'idiomorph.js': import.meta.resolve('idiomorph/dist/idiomorph.esm.js'),
  'uplot.js': import.meta.resolve('uplot/dist/uPlot.esm.js'),
  'uplot.css': import.meta.resolve('uplot/dist/uPlot.min.css'),
};

/** Serves what is the same for everybody, from memory. */
export async function serveAssets(app: FastifyInstance): Promise<void> {
  for (const [name, url] of Object.entries(FILES)) {
    const body = await readFile(new URL(url));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`;
    app.get(`/assets/${name}`, (request, reply) => {
      reply.header('cache-control', 'no-cache').header('etag', etag);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(TYPES[name.split('.').at(-1) ?? ''] ?? '').send(body);
    });
  }
}
