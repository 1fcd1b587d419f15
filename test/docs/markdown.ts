import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/folders.ts';

/** @param path from the project's folder. */
export function readPage(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8');
}

/** A fenced block of code. */
export interface Block {
  language: string;
  text: string;
  /** Of its first line, counted from 1. */
  line: number;
}

/** All blocks of a page in order. One that is part of a list loses the list's indent. */
export function blocksIn(page: string): Block[] {
  const fences = page.matchAll(/^( *)```([\w-]*)\n(.*?)^\1```$/gms);
  return [...fences].map(({ 1: indent = '', 2: language = '', 3: text = '', index }) => ({
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    line: page.slice(0, index).split('\n').length + 1,
  }));
}

/** What is left of a page without its code: links and headings in it mean nothing. */
export function withoutCode(page: string): string {
  return page
    .replaceAll(/^( *)```.*?^\1```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()#]/g, ''));
}

/** The cells of all rows of tables that begin with a cell in backquotes. */
export function rowsIn(page: string): string[][] {
  return [...page.matchAll(/^\| `.*\|$/gm)].map(([row]) =>
    row
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );
}

/** Targets of links and pictures. */
export function linksIn(page: string): string[] {
  return [...withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** The anchors that GitHub gives a page's headings. */
export function anchorsIn(page: string): string[] {
  const seen = new Map<string, number>();
  const headings = page.replaceAll(/^( *)```.*?^\1```$/gms, '').matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, heading = '']) => {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  });
}
