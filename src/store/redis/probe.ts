import { createConnection } from 'node:net';

export interface AskParams {
  socketPath: string;
  commands: readonly string[];
  /** Bounds the whole exchange. */
  timeoutMs: number;
}

/**
 * Sends commands to a Redis on a unix socket and returns all it says, as it comes over the wire. Rejects with the
 * system's error, or when the server is not done in time. A whole client would take the keeper twice the memory.
 */
export function ask({ socketPath, commands, timeoutMs }: AskParams): Promise<string> {
  return new Promise((resolve, reject) => {
    // After QUIT the server says the rest and hangs up.
    const socket = createConnection({ path: socketPath }, () =>
      socket.write([...commands, 'QUIT\r\n'].join('\r\n')),
    );
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), timeoutMs);
    let said = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      said += text;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(said);
    });
  });
}

/**
 * What a look at a server's socket shows. `absent`: nobody listens. `silent`: a process listens and does not answer in
 * time; it may be stopped or very busy, but it lives.
 */
export type ServerState = 'up' | 'loading' | 'silent' | 'absent';

/** Looks whether a server is there. `timeoutMs` bounds the look; default 1,000. */
export async function probe(socketPath: string, timeoutMs = 1000): Promise<ServerState> {
  try {
    const said = await ask({ socketPath, commands: ['PING'], timeoutMs });
    if (said === '') return 'silent';
    return said.startsWith('-LOADING') ? 'loading' : 'up';
  } catch (error) {
    return isNobody(error) ? 'absent' : 'silent';
  }
}

/** Only these two say that no process listens: a stopped server whose queue is full gives EAGAIN, for one. */
function isNobody(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
  );
}
