import { count, plural } from '../base/words/number.ts';
import { type Html, html } from '../files/report/html.ts';
import { mark } from '../files/report/summary.ts';
import { OUTCOMES_OR_OPEN } from '../files/report/tally.ts';
import { describeNotes, outcomeLabel } from '../files/words/campaign.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import { at, campaignPath, scrolling } from './parts.ts';
import { type Found, SIZES, type SortColumn, toQuery, type Wanted } from './requests.ts';
import { ownerOf, type Row } from './row.ts';

interface Column {
  title: string;
  sort?: SortColumn;
  kind?: 'number' | 'time' | 'id' | 'long';
  cell(row: Row, label: string, campaign: Campaign): Html | string | number;
}

const COLUMNS: readonly Column[] = [
  {
    title: 'Outcome',
    sort: 'outcome',
    cell: ({ outcome }) => html`${mark(outcome)}${outcomeLabel(outcome)}`,
  },
  {
    title: 'Machine action',
    sort: 'id',
    kind: 'id',
    cell: ({ id }, label, { number }) => html`<a href="${campaignPath(label, number, 'r', id)}">${id}</a>`,
  },
  { title: 'Device', sort: 'device', cell: ({ device }) => device },
  {
    title: 'Error',
    sort: 'error',
    kind: 'long',
    cell: ({ error }) => (error === '' ? '' : html`<span title="${error}">${error}</span>`),
  },
  { title: 'Type', sort: 'type', cell: ({ type }) => type },
  { title: 'Action status', sort: 'status', cell: ({ status }) => status },
  {
    title: 'Notes',
    cell: ({ uncertain, elsewhere }) => describeNotes({ uncertain, owner: ownerOf(elsewhere) }),
  },
  {
    title: 'Finished',
    sort: 'decided',
    kind: 'time',
    cell: ({ decidedAt }) => (decidedAt > 0 ? at(decidedAt) : ''),
  },
  { title: 'Attempts', sort: 'attempts', kind: 'number', cell: ({ attempts }) => attempts },
  {
    title: 'HTTP',
    sort: 'http',
    kind: 'number',
    cell: ({ httpStatus }) => (httpStatus > 0 ? httpStatus : ''),
  },
];

export interface TableInput {
  label: string;
  campaign: Campaign;
  wanted: Wanted;
}

/** What is looked for; outside of what changes, so that nobody's typing is disturbed. */
export function renderSearch({ wanted }: TableInput, types: readonly string[]): Html {
  const option = (value: string, text: string, chosen: string) =>
    value === chosen
      ? html`<option value="${value}" selected>${text}</option>`
      : html`<option value="${value}">${text}</option>`;
  const known = types.includes(wanted.type) || wanted.type === '' ? types : [...types, wanted.type];
  return html`<form method="get" role="search" class="filter">
<div><label for="q">Search</label><input id="q" name="q" type="search" value="${wanted.search}" placeholder="device, id, error …"></div>
<div><label for="outcome">Outcome</label><select id="outcome" name="outcome">${option('', 'all', wanted.outcome)}${OUTCOMES_OR_OPEN.map((outcome) => option(outcome, outcomeLabel(outcome), wanted.outcome))}</select></div>
<div><label for="type">Type</label><select id="type" name="type">${option('', 'all', wanted.type)}${known.map((type) => option(type, type, wanted.type))}</select></div>
<div><label for="size">Rows per page</label><select id="size" name="size">${SIZES.map((size) => option(String(size), String(size), String(wanted.size)))}</select></div>
${wanted.sort === null ? '' : html`<input type="hidden" name="sort" value="${wanted.sort}"><input type="hidden" name="dir" value="${wanted.descending ? 'desc' : 'asc'}">`}
<div><button>Apply</button></div>
</form>`;
}

/** One page of the actions. */
export function renderTable(input: TableInput, found: Found): Html {
  const { label, campaign, wanted } = input;
  const rows = found.rows.map(
    (row) =>
      html`<tr id="r-${row.id}">${COLUMNS.map(({ kind, cell }) => html`<td class="${kind ?? ''}">${cell(row, label, campaign)}</td>`)}</tr>\n`,
  );
  return html`<p class="note" role="status">${count(found.total)} of ${plural(found.all, 'action')}</p>
${scrolling(
  'Actions',
  html`<table id="rows">
<thead><tr>${COLUMNS.map((column) => renderHead(column, wanted))}</tr></thead>
<tbody>
${rows}</tbody>
</table>`,
)}
${renderPages(found, wanted)}`;
}

function renderHead({ title, sort, kind }: Column, wanted: Wanted): Html {
  if (!sort) return html`<th scope="col" class="${kind ?? ''}">${title}</th>`;
  const isSorted = wanted.sort === sort;
  const query = toQuery(wanted, { sort, descending: isSorted && !wanted.descending, page: 1 });
  const order = isSorted ? html` aria-sort="${wanted.descending ? 'descending' : 'ascending'}"` : '';
  return html`<th scope="col" class="${kind ?? ''}"${order}><a href="${query}#requests">${title}</a></th>`;
}

function renderPages({ page, pages }: Found, wanted: Wanted): Html {
  const to = (number: number, text: string) =>
    number >= 1 && number <= pages && number !== page
      ? html`<a class="button" href="${toQuery(wanted, { page: number })}#requests">${text}</a>\n`
      : html`<span class="button off">${text}</span>\n`;
  return html`<nav aria-label="Pages of the table">${to(1, 'First')}${to(page - 1, 'Previous')}<span id="page">Page ${count(page)} of ${count(pages)}</span>${to(page + 1, 'Next')}${to(pages, 'Last')}</nav>`;
}
