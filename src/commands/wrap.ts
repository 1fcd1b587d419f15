/** Narrower than this, lines are not broken any more than they have to. */
const NARROWEST = 20;

/**
 * Breaks a text between words. Lines after the first one begin with as many spaces as `indent` says, and the first one is
 * taken to begin there, too.
 *
 * @param width of the terminal, in characters; Infinity: no line is broken.
 */
export function wrap(text: string, width: number, indent: number): string {
  const room = Math.max(NARROWEST, width - indent);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}
