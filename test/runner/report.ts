import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

interface FileReport extends Totals {
  failures: Failure[];
  /** What its tests measured. */
  notes: string[];
  skips: { name: string; reason: string }[];
  /** Names of the suites and tests around the one that was told of last, by nesting. */
  path: string[];
}

interface Failure {
  name: string;
  place: string;
  error: string;
}

export interface ReportOptions {
  out: NodeJS.WritableStream;
  /** Files are named from there. */
  root: string;
  files: readonly string[];
}

/** Of a failed file's own output, so many characters are shown. */
const OUTPUT_SHOWN = 4_000;

/**
 * Tells of a test run: a line for each file as it ends; then the failures in full, what was skipped and why, and the
 * totals as the last line.
 *
 * A run has passed only when every file that was asked for told of its end, of at least one test, and of no failure.
 *
 * @param options.files absolute paths.
 */
export function createReport({ out, root, files }: ReportOptions) {
  const reports = new Map<string, FileReport>();
  const outputs = new Map<string, string>();
  /**
   * The file that is told of now: one is told of to its end before the next. Where a test says it stands is another thing: some are
   * declared by a function of another file.
   */
  let current = newReport();
  let isSuccess = false;
  const began = performance.now();
  const say = (line: string) => void out.write(`${line}\n`);
  say(`${files.length} ${files.length === 1 ? 'file' : 'files'}`);

  function fail(report: FileReport, failure: Failure): void {
    report.failed++;
    report.failures.push(failure);
  }

  /** A file may be told of twice: that it failed as a whole, and then its summary. */
  function ended(file: string, durationMs: number): void {
    const name = relative(root, file);
    const known = reports.get(name);
    if (known) {
      known.passed += current.passed;
      known.failed += current.failed;
      known.skipped += current.skipped;
      known.failures.push(...current.failures);
      known.skips.push(...current.skips);
    } else {
      reports.set(name, current);
      if (current.passed + current.failed + current.skipped === 0) {
        fail(current, { name, place: name, error: 'It told of no test.' });
      }
      say(lineOf(name, current, durationMs));
      // Long tests measure what others must not assert.
      if (name.endsWith('.long.ts')) for (const note of current.notes) say(indented(note));
    }
    current = newReport();
  }

  function takeResult(event: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>): void {
    const { file = '', nesting, name, line, skip, details } = event.data;
    const isFile = nesting === 0 && name === file;
    const path = [...current.path.slice(0, nesting), name].join(' > ');
    if (event.type === 'test:fail') {
      const error = event.data.details.error as Error & { failureType?: string };
      // That something within it failed is told there.
      if (error.failureType === 'subtestsFailed') return;
      fail(current, { name: path, place: `${relative(root, file)}:${line ?? 1}`, error: told(error) });
      if (isFile) ended(file, details.duration_ms);
    } else if (skip !== undefined) {
      current.skipped++;
      current.skips.push({ name: path, reason: typeof skip === 'string' ? skip : 'no reason given' });
    } else if (!isFile && details.type !== 'suite') {
      current.passed++;
    }
  }

  return {
    take(event: TestEvent): void {
      switch (event.type) {
        case 'test:start':
          current.path.splice(event.data.nesting, Number.POSITIVE_INFINITY, event.data.name);
          return;
        case 'test:pass':
        case 'test:fail':
          takeResult(event);
          return;
        case 'test:diagnostic':
          current.notes.push(event.data.message);
          return;
        case 'test:stdout':
        case 'test:stderr': {
          const name = relative(root, event.data.file);
          outputs.set(name, ((outputs.get(name) ?? '') + event.data.message).slice(-OUTPUT_SHOWN));
          return;
        }
        case 'test:summary': {
          const { file, success, duration_ms: durationMs } = event.data;
          if (file === undefined) isSuccess = success;
          else ended(file, durationMs);
          return;
        }
        default:
          return;
      }
    },

    /** Says the rest. */
    finish(): Totals {
      for (const file of files) {
        const name = relative(root, file);
        if (reports.has(name)) continue;
        const report = newReport();
        fail(report, {
          name,
          place: name,
          error: 'It ended without telling of its end: it has no test, or its process ended too early.',
        });
        reports.set(name, report);
      }
      const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
      for (const { passed, failed, skipped } of reports.values()) {
        totals.passed += passed;
        totals.failed += failed;
        totals.skipped += skipped;
      }
      for (const [file, { failures }] of reports) {
        for (const { name, place, error } of failures) say(`\n✖ ${name}\n  ${place}\n\n${indented(error)}`);
        const output = outputs.get(file) ?? '';
        if (failures.length > 0 && output !== '') say(`\n  ${file} wrote:\n\n${indented(output.trimEnd())}`);
      }
      if (!isSuccess && totals.failed === 0) {
        totals.failed++;
        say('\n✖ Node’s test runner says that something failed, and not what');
      }
      const skips = new Map<string, string[]>();
      for (const [file, report] of reports) {
        for (const { name, reason } of report.skips) {
          skips.set(reason, [...(skips.get(reason) ?? []), `${file}: ${name}`]);
        }
      }
      if (skips.size > 0) say('\nSkipped:');
      for (const [reason, names] of skips)
        say(`  ${reason}\n${names.map((name) => `    ${name}`).join('\n')}`);
      say(`\n${((performance.now() - began) / 1_000).toFixed(1)} s`);
      const { passed, failed, skipped } = totals;
      say(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
      return totals;
    },
  };
}

function lineOf(name: string, { passed, failed, skipped }: Totals, durationMs: number): string {
  const counts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} skipped`];
  const mark = failed > 0 ? '✖' : '✔';
  const seconds = `${(durationMs / 1_000).toFixed(1)} s`;
  return `${mark} ${name.padEnd(46)} ${seconds.padStart(8)}  ${counts.filter(Boolean).join(', ')}`;
}

function newReport(): FileReport {
  return { passed: 0, failed: 0, skipped: 0, failures: [], notes: [], skips: [], path: [] };
}

/** The runner wraps what was thrown. */
function told(error: Error): string {
  const thrown = error.cause instanceof Error ? error.cause : error;
  return inspect(thrown, { depth: 6, breakLength: 100 });
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
