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
  /** Whether its process failed, or told of no end; what it said by the way may tell why. */
  isBroken: boolean;
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
  /** Aborted when the run is told to stop: what has not ended by then has neither passed nor failed. */
  stop?: AbortSignal;
}

const NO_END = 'It ended without telling of its end: it has no test, or its process ended too early.';

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
export function createReport({ out, root, files, stop }: ReportOptions) {
  const reports = new Map<string, FileReport>();
  const outputs = new Map<string, string>();
  /** Files whose process has ended: how long it took in ms, and whether it ended well. */
  const processes = new Map<string, { durationMs: number; isWell: boolean }>();
  const unfinished = new Set<string>();
  /** Told of, but not said yet: its process may still turn out to have failed. */
  let unsaid: string | null = null;
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

  /** A file may be told of twice: its summary, and then that it failed as a whole. */
  function ended(file: string): void {
    const name = relative(root, file);
    const known = reports.get(name);
    if (known) {
      known.passed += current.passed;
      known.failed += current.failed;
      known.skipped += current.skipped;
      known.isBroken ||= current.isBroken;
      known.failures.push(...current.failures);
      known.skips.push(...current.skips);
      known.notes.push(...current.notes);
    } else {
      reports.set(name, current);
      if (current.passed + current.failed + current.skipped === 0) {
        fail(current, { name, place: name, error: 'It told of no test.' });
      }
      unsaid = name;
    }
    current = newReport();
    sayLine();
  }

  /**
   * Says the line of the file that was told of last, as soon as it can not change any more.
   *
   * @param isWhole that nothing more will be told of it.
   */
  function sayLine(isWhole = false): void {
    const report = unsaid === null ? undefined : reports.get(unsaid);
    const process = unsaid === null ? undefined : processes.get(unsaid);
    if (unsaid === null || !report || !process) return;
    if (!process.isWell && !report.isBroken && !isWhole) return;
    say(lineOf(unsaid, report, process.durationMs));
    // Long tests measure what others must not assert.
    if (unsaid.endsWith('.long.ts')) for (const note of report.notes) say(indented(note));
    unsaid = null;
  }

  function takeResult(event: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>): void {
    const { file = '', nesting, name, line, skip, details } = event.data;
    const isFile = nesting === 0 && name === file;
    const path = [...current.path.slice(0, nesting), name].join(' > ');
    if (event.type === 'test:fail') {
      const error = event.data.details.error as Error & { failureType?: string };
      // That something within it failed is told there.
      if (error.failureType === 'subtestsFailed') {
        if (isFile) sayLine(true);
        return;
      }
      if (stop?.aborted && error.failureType === 'testAborted') {
        unfinished.add(relative(root, file));
        return;
      }
      const place = relative(root, file);
      if (isFile) current.isBroken = true;
      fail(
        current,
        isFile
          ? { name: place, place, error: told(error) }
          : { name: path, place: `${place}:${line ?? 1}`, error: told(error) },
      );
      if (isFile) ended(file);
    } else if (isFile) {
      // Its process ended well, and told of nothing that it did.
      current.isBroken = true;
      fail(current, { name: relative(root, file), place: relative(root, file), error: NO_END });
      ended(file);
    } else if (skip !== undefined) {
      current.skipped++;
      current.skips.push({ name: path, reason: typeof skip === 'string' ? skip : 'no reason given' });
    } else if (details.type !== 'suite') {
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
        case 'test:complete': {
          const { file = '', name, nesting, details } = event.data;
          if (nesting !== 0 || name !== file) return;
          processes.set(relative(root, file), { durationMs: details.duration_ms, isWell: details.passed });
          sayLine();
          return;
        }
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
          const { file, success } = event.data;
          if (file === undefined) isSuccess = success;
          else ended(file);
          return;
        }
        default:
          return;
      }
    },

    /** Says the rest. */
    finish(): Totals {
      sayLine(true);
      for (const file of files) {
        const name = relative(root, file);
        if (reports.has(name)) continue;
        if (stop?.aborted) {
          unfinished.add(name);
          continue;
        }
        const report = newReport();
        fail(report, { name, place: name, error: NO_END });
        reports.set(name, report);
        say(lineOf(name, report, processes.get(name)?.durationMs ?? 0));
      }
      const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
      for (const { passed, failed, skipped } of reports.values()) {
        totals.passed += passed;
        totals.failed += failed;
        totals.skipped += skipped;
      }
      for (const [file, { failures, isBroken, notes }] of reports) {
        for (const { name, place, error } of failures) {
          const head = name === place ? `✖ ${name}` : `✖ ${name}\n  ${place}`;
          say(`\n${head}\n\n${indented(error)}`);
        }
        if (isBroken && notes.length > 0) say(`\n  Node says:\n\n${indented(notes.join('\n'))}`);
        const output = outputs.get(file) ?? '';
        if (failures.length > 0 && output !== '') say(`\n  ${file} wrote:\n\n${indented(output.trimEnd())}`);
      }
      if (!isSuccess && totals.failed === 0 && !stop?.aborted) {
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
      if (stop?.aborted) say(`Stopped before the end of\n  ${[...unfinished].join('\n  ')}`);
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
  return { passed: 0, failed: 0, skipped: 0, failures: [], isBroken: false, notes: [], skips: [], path: [] };
}

/** The runner wraps what was thrown. */
function told(error: Error): string {
  const thrown = error.cause instanceof Error ? error.cause : error;
  return inspect(thrown, { depth: 6, breakLength: 100 });
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
