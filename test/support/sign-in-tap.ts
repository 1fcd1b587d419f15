import { once } from 'node:events';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { generate } from 'selfsigned';

/** Stands between a worker and the sign-in, and keeps what went through. */
export interface SignInTap {
  url: string;
  /** Its own authority, PEM. */
  authority: string;
  /** Where to hand on what comes, and whom to trust there. */
  lead(authorityUrl: string, ca: string): void;
  /** Client secrets and assertions as they were sent, and tokens as they were given out. */
  readonly seen: { secrets: Set<string>; assertions: Set<string>; tokens: Set<string> };
  close(): Promise<void>;
}

export async function startSignInTap(): Promise<SignInTap> {
  // Another name than the simulator's, whose certificate is trusted beside this one.
  const pems = await generate([{ name: 'commonName', value: 'sign-in tap' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  const seen = { secrets: new Set<string>(), assertions: new Set<string>(), tokens: new Set<string>() };
  let target = { url: '', ca: '' };
  const server: Server = createServer({ key: pems.private, cert: pems.cert }, async (asked, answer) => {
    const form = await text(asked);
    keep(seen.secrets, new URLSearchParams(form).get('client_secret'));
    keep(seen.assertions, new URLSearchParams(form).get('client_assertion'));
    const { method, headers } = asked;
    const onwards = request(new URL(asked.url ?? '/', target.url), {
      method,
      headers,
      ca: target.ca,
      agent: false,
    });
    onwards.on('error', () => answer.destroy());
    onwards.on('response', async (response) => {
      const body = await text(response).catch(() => '');
      keep(seen.tokens, /"access_token":"([^"]+)"/.exec(body)?.[1]);
      answer.writeHead(response.statusCode ?? 502, response.headers).end(body);
    });
    onwards.end(form);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    authority: pems.cert,
    lead: (url, ca) => {
      target = { url, ca };
    },
    seen,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function keep(set: Set<string>, value: string | null | undefined): void {
  if (value) set.add(value);
}
