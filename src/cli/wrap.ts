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

/**
 * The same of whole lines. What is broken goes on two columns further in than its line began, or, after a label and two spaces or
 * more, below what follows the label.
 */
export function wrapLines(lines: readonly string[], width: number): string {
  return lines.map((line) => wrapLine(line, width)).join('\n');
}

function wrapLine(line: string, width: number): string {
  if (line.length <= width) return line;
  const label = LABEL.exec(line)?.[0] ?? '';
  if (label !== '' && label.length <= width / 2)
    return `${label}${wrap(line.slice(label.length), width, label.length)}`;
  const indent = (/^ */.exec(line)?.[0].length ?? 0) + 2;
  const [first = '', ...rest] = help
    .boxWrap(line.trimStart(), Math.max(NARROWEST, width - indent))
    .split('\n');
  return [`${' '.repeat(indent - 2)}${first}`, ...rest.map((part) => `${' '.repeat(indent)}${part}`)].join(
    '\n',
  );
}

const LABEL = /^ *[\w-]+(?: \w+)? {2,}(?=\S)/;
