import { Help } from 'commander';

/** Narrower than this, lines are not broken any more than they have to. */
const NARROWEST = 20;

const help = Object.assign(new Help(), { minWidthToWrap: NARROWEST });

/**
 * Breaks a text between words. Lines after the first one begin with as many spaces as `indent` says, and the first one is
 * taken to begin there, too.
 *
 * @param width of the terminal, in characters; Infinity: no line is broken.
 */
export function wrap(text: string, width: number, indent: number): string {
  const room = Math.max(NARROWEST, width - indent);
  return help.boxWrap(text, room).replaceAll('\n', `\n${' '.repeat(indent)}`);
}
