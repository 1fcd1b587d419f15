import type { Socket } from 'node:net';

/**
 * Resets a connection. One whose end is just being sent is only closed: the system call is refused then (EINVAL), and Node
 * loses the handle all the same. It emits no `close`, and when the process is to end it waits for that handle in an endless
 * loop.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
